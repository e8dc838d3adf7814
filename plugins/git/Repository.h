#pragma once

#include "plugins/git/Git.h"
#include "plugins/git/Program.h"

#include <map>
#include <string>

namespace agent::git
{

/// A repository as the stage names it, and how git is called for it.
class Repository
{
public:
    /// Errors: Failure when `url` isn't used.
    explicit Repository(std::string url);

    [[nodiscard]] const std::string& url() const { return _url; }

    /// For logs: without a password.
    [[nodiscard]] const std::string& name() const { return _name; }

    /// Blocks until git has ended.
    [[nodiscard]] Ended run(const Arguments& argv) const { return runProgram(argv, _env); }

    /// As `run`, for the submodules that a commit of this repository names.
    [[nodiscard]] Ended runForSubmodules(const Arguments& argv) const;

    /// git's words about a failure in one line, without the URL's password.
    [[nodiscard]] std::string why(const Ended& ended) const;

private:
    std::string _url;
    std::string _name;
    std::map<std::string, std::string> _env;
};

} // namespace agent::git
