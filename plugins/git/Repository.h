#pragma once

#include "plugins/git/Git.h"
#include "plugins/git/Program.h"

#include <map>
#include <string>

namespace agent::git
{

/// A repository as given by the stage, with the environment for git.
class Repository
{
public:
    /// Errors: Failure if `url` is refused.
    explicit Repository(std::string url);

    [[nodiscard]] const std::string& url() const { return _url; }

    /// Returns the URL without its password, for logs.
    [[nodiscard]] const std::string& name() const { return _name; }

    /// Blocks until git has ended.
    [[nodiscard]] Ended run(const Arguments& argv) const { return runProgram(argv, _env); }

    /// As `run`, for the submodules of a commit.
    [[nodiscard]] Ended runForSubmodules(const Arguments& argv) const;

    /// Returns git's error message as one line, without the URL's password.
    [[nodiscard]] std::string why(const Ended& ended) const;

private:
    std::string _url;
    std::string _name;
    std::map<std::string, std::string> _env;
};

} // namespace agent::git
