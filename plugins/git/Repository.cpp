#include "plugins/git/Repository.h"

#include <utility>

namespace agent::git
{

Repository::Repository(std::string url) : _url(std::move(url)), _name(withoutPassword(_url))
{
    if (const std::string why = refuseRepository(_url); !why.empty())
        throw Failure("git: repository '" + printable(_name) + "' " + why);
    _env = environment(_url, false);
    // Nothing would answer a prompt for a password or host key. The variable would override an operator's command
    // (a deploy key, a jump host), so that is queried first.
    if (!isLocal(_url) && !run(command::readSshCommand()).passed())
        _env["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes -oConnectTimeout=30";
}

Ended Repository::runForSubmodules(const Arguments& argv) const
{
    auto env = environment(_url, true);
    env.insert(_env.begin(),
               _env.end()); // existing entries win: their protocols are the more restricted ones
    return runProgram(argv, env);
}

std::string Repository::why(const Ended& ended) const
{
    std::string text = ended.why();
    if (_url != _name)
        for (std::size_t i = 0; (i = text.find(_url, i)) != std::string::npos; i += _name.size())
            text.replace(i, _url.size(), _name);
    return text;
}

} // namespace agent::git
