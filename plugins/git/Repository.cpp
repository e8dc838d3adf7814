#include "plugins/git/Repository.h"

#include "plugins/git/Url.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

namespace agent::git
{

Repository::Repository(std::string url, const Surroundings& surroundings)
    : _url(std::move(url)), _name(withoutPassword(_url)), _local(isLocal(_url))
{
    setUp(false, surroundings);
}

Repository::Repository(const Repository& parent, const std::string& url,
                       const Surroundings& surroundings)
    : _url(submoduleUrl(parent.url(), url)), _name(withoutPassword(_url)), _local(parent._local)
{
    if (_url.empty())
        throw Failure("git: the submodule '" + printable(url) + "' of " + parent.name() +
                      " leads out of its host");
    if (!_local && isLocal(_url))
        throw Failure("git: the submodule '" + printable(url) + "' of " + parent.name() +
                      " is a repository of this host, which one from elsewhere may not name");
    setUp(true, surroundings);
}

void Repository::setUp(bool submodule, const Surroundings& surroundings)
{
    const std::string& config = surroundings.config;
    if (const std::string why = refuseRepository(_url); !why.empty())
        throw Failure("git: repository '" + printable(_name) + "' " + why);
    const char* home = std::getenv("HOME");
    std::error_code error;
    _unread = !isLocal(_url) && config == "/dev/null" && home != nullptr &&
              std::filesystem::exists(std::filesystem::path(home) / ".gitconfig", error);
    _env = environment(_local ? "/" : _url, submodule, config);
    _access = _url;
    if (surroundings.credential.covers(_url))
    {
        auto given = surroundings.credential.given();
        _env.merge(given.env);
        _descriptors = std::move(given.descriptors);
        _access += "\n" + surroundings.credential.identity();
        return;
    }
    // Nothing would answer a prompt for a password or host key. The variable would override an operator's command
    // (a deploy key, a jump host), so that is queried first.
    if (!isLocal(_url) && !run(command::readSshCommand()).passed())
        _env["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes -oConnectTimeout=30";
}

std::string Repository::why(const Ended& ended) const
{
    std::string text = ended.why();
    if (_url != _name)
        for (std::size_t i = 0; (i = text.find(_url, i)) != std::string::npos; i += _name.size())
            text.replace(i, _url.size(), _name);
    // What helped git on this host before is no help here; say so where something is missing.
    if (_unread || text.find("dubious ownership") != std::string::npos)
        text += " (git.config of the agent names what git reads in place of ~/.gitconfig)";
    return text;
}

} // namespace agent::git
