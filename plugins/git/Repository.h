#pragma once

#include "plugins/git/Git.h"
#include "plugins/git/Program.h"
#include "plugins/git/Surroundings.h"

#include <map>
#include <string>
#include <vector>

namespace agent::git
{

/// A repository as given by the stage or by a commit's .gitmodules, with the environment for git outside the sandbox.
class Repository
{
public:
    /// Errors: Failure if `url` is refused.
    Repository(std::string url, const Surroundings& surroundings);

    /// A submodule of `parent` whose .gitmodules says `url`. What a repository from elsewhere may name is no
    /// repository of this host.
    /// Errors: Failure if the URL is refused.
    Repository(const Repository& parent, const std::string& url, const Surroundings& surroundings);

    [[nodiscard]] const std::string& url() const { return _url; }

    /// Returns the URL without its password, for logs.
    [[nodiscard]] const std::string& name() const { return _name; }

    /// Blocks until git has ended. `input`: what its stdin has.
    [[nodiscard]] Ended run(const Arguments& argv, const MemoryFile& input = {}) const
    {
        return runProgram(argv, _env, Descriptors::Inherited, _descriptors, input.descriptor());
    }

    /// Returns a text that differs with each address, user, password and credential: who has it fetched with the same rights.
    [[nodiscard]] const std::string& access() const { return _access; }

    /// Returns git's error message as one line, without the URL's password.
    [[nodiscard]] std::string why(const Ended& ended) const;

private:
    void setUp(bool submodule, const Surroundings& surroundings);

    std::string _url;
    std::string _name;
    bool _local = false;  ///< as the repository whose submodule it is
    bool _unread = false; ///< there is a ~/.gitconfig, and nothing in its place
    std::map<std::string, std::string> _env;
    std::vector<int> _descriptors; ///< of the credential
    std::string _access;
};

} // namespace agent::git
