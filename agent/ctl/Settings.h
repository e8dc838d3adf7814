#pragma once

#include <string>
#include <vector>

namespace agent::ctl
{

/// Which agents to talk to, and as whom.
struct Settings
{
    std::vector<std::string> agents; ///< their addresses, at least one
    bool named = false;              ///< on the command line
    std::string agentsFrom;          ///< who named them, for a person
    std::string token;               ///< empty: none is sent
    std::string tokenFrom;           ///< likewise; empty: nobody
};

/// Finds both: the command line first, then `$STAGE_AGENT_URL` (several between blanks) and
/// `$STAGE_AGENT_TOKEN`, then `$XDG_CONFIG_HOME/stagectl` (or `~/.config/stagectl`), then
/// http://127.0.0.1:7824 without a token. All agents come from the first of these that names one.
/// The file holds lines `agent = URL`, one for each, and `token-file = PATH` (`~/` is the home folder);
/// `#` begins a comment line.
/// Errors: Failure Usage when the file has other lines, or one with no address; when a token file can't be read, can be by every
/// user of the host, is empty or holds more than one word.
Settings findSettings(const std::vector<std::string>& agentOptions,
                      const std::string& tokenFileOption);

/// The two halves of it, for who wants to tell them apart. Errors: the file's; the token's.
void findAgents(const std::vector<std::string>& options, Settings& settings);
void findToken(const std::string& fileOption, Settings& settings);

} // namespace agent::ctl
