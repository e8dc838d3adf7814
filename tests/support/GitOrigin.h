#pragma once

#include "tests/support/Daemon.h"

#include <cppunit/TestAssert.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

namespace agent::test
{

/// A git repository that a daemon fetches from, with a branch main.
class GitOrigin
{
public:
    explicit GitOrigin(std::filesystem::path path) : _path(std::move(path))
    {
        std::filesystem::create_directories(_path);
        git("init -q -b main");
    }

    [[nodiscard]] const std::filesystem::path& path() const { return _path; }

    /// git as a user has it, in a shell. Returns what it printed, without the last line end.
    std::string git(const std::string& arguments) const
    {
        const std::filesystem::path out = _path.string() + ".out";
        const std::string command = "env -i PATH=\"$PATH\" HOME=/nonexistent "
                                    "GIT_CONFIG_GLOBAL=/dev/null git -c user.name=Ada -c "
                                    "user.email=ada@example.org -c safe.directory='*' -C '" +
                                    _path.string() + "' " + arguments + " >'" + out.string() +
                                    "' 2>&1";
        const int status = std::system(command.c_str()); // NOLINT: our own words
        std::string said = contentOf(out);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(command + "\n" + said, 0, status);
        while (said.ends_with('\n'))
            said.pop_back();
        return said;
    }

    /// Returns the new commit.
    std::string commit(const std::string& name, const std::string& content,
                       const std::string& message = "a change") const
    {
        const std::filesystem::path file = _path / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << content;
        return commitAll(message);
    }

    std::string commitAll(const std::string& message) const
    {
        git("add -A");
        git("commit -q -m \"" + message + "\"");
        return git("rev-parse HEAD");
    }

private:
    std::filesystem::path _path;
};

} // namespace agent::test
