#pragma once

#include <string>
#include <vector>

namespace agent::ctl
{

/// The agents to address, and the token.
struct Settings
{
    std::vector<std::string> agents; ///< addresses, at least one
    bool named = false;              ///< by --agent
    std::string agentsFrom;          ///< the source of the addresses, for display
    std::string caFile;              ///< for https; empty: the system's certificates
    std::string token;               ///< empty: none is sent
    std::string tokenFrom;           ///< its source, for display; empty: none
};

/// Returns both, from the command line, else `$STAGE_AGENT_URL` (separated by blanks) and
/// `$STAGE_AGENT_TOKEN`, else `$XDG_CONFIG_HOME/stagectl` (or `~/.config/stagectl`), else the agent of this
/// host and, of a single agent, localToken(). All agents come from the first of these that has one. This host's agent is looked
/// for at /run/stage-agent/api.sock, then at api.sock in the default state folders, where this user may open
/// it and a server listens, then at http://127.0.0.1:7824.
/// The file holds lines `agent = URL` (repeatable), `token-file = PATH` and `ca-file = PATH` (`~/` is the
/// home folder); `#` begins a comment line.
/// Errors: Failure Usage if the file has other lines or a malformed address, or if the token file can't
/// be read, is accessible to all users, is empty or holds more than one word.
Settings findSettings(const std::vector<std::string>& agentOptions,
                      const std::string& tokenFileOption, const std::string& caFileOption = {});

/// The two steps of it, for callers that report their errors separately.
void findAgents(const std::vector<std::string>& options, Settings& settings,
                const std::string& caFileOption = {});
void findToken(const std::string& fileOption, Settings& settings);

} // namespace agent::ctl
