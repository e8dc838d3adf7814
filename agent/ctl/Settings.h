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
    std::string token;               ///< empty: none is sent
    std::string tokenFrom;           ///< its source, for display; empty: none
};

/// Returns both, from the command line, else `$STAGE_AGENT_URL` (separated by blanks) and
/// `$STAGE_AGENT_TOKEN`, else `$XDG_CONFIG_HOME/stagectl` (or `~/.config/stagectl`), else
/// http://127.0.0.1:7824 without a token. All agents come from the first of these that has one.
/// The file holds lines `agent = URL` (repeatable) and `token-file = PATH` (`~/` is the home folder);
/// `#` begins a comment line.
/// Errors: Failure Usage if the file has other lines or a malformed address, or if the token file can't
/// be read, is accessible to all users, is empty or holds more than one word.
Settings findSettings(const std::vector<std::string>& agentOptions,
                      const std::string& tokenFileOption);

/// The two steps of it, for callers that report their errors separately.
void findAgents(const std::vector<std::string>& options, Settings& settings);
void findToken(const std::string& fileOption, Settings& settings);

} // namespace agent::ctl
