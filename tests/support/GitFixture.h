#pragma once

#include "tests/support/PluginProcess.h"

#include <cppunit/TestFixture.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

/// The git plugin in its host, a stage's folder, and a repository `_origin` to check out from.
class GitFixture: public CppUnit::TestFixture
{
protected:
    using Environment = std::map<std::string, std::string>;

    GitFixture();

    static std::filesystem::path library();
    static Environment settings(const std::string& repository, const std::string& ref,
                                const PluginFolder& folder);

    /// Runs the plugin to its end, in `_folder` unless told otherwise.
    PluginEnd checkOut(const std::string& repository, const std::string& ref);
    static PluginEnd checkOut(const std::string& repository, const std::string& ref,
                              const PluginFolder& folder);

    static PluginEnd passed(PluginEnd end);

    /// The user's failure: exit 1 and one line that says `text`.
    static void assertFailure(const PluginEnd& end, const std::string& text);

    /// A file that only a value or a program that nobody asked for would make.
    [[nodiscard]] std::string canary() const { return _folder.path() / "canary"; }
    void assertNoCanary(const std::string& value) const;

    static void await(const std::function<bool()>& condition);

    /// git as a user has it; its stdout.
    std::string git(std::vector<std::string> argv) const;
    void makeRepository(const std::filesystem::path& path) const;

    /// Commits a file to `_origin` or to `repository`.
    /// Returns the commit, 40 digits.
    std::string commitFile(const std::string& name, const std::string& content,
                           const std::string& message = "a change") const;
    std::string commitFile(const std::string& name, const std::string& content,
                           const std::string& message,
                           const std::filesystem::path& repository) const;

    /// Enough that a fetch takes its time, and that it comes as a pack.
    void addManyFiles() const;

    /// The only one in the cache of `_folder`.
    [[nodiscard]] std::filesystem::path mirror() const;

    PluginFolder _folder;
    std::string _origin;
};
