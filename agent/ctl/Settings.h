#pragma once

#include <string>

namespace agent::ctl
{

/// Which agent to talk to, and as whom.
struct Settings
{
    std::string agent;
    std::string token; ///< empty: none is sent
};

/// Finds both: the command line first, then `$STAGE_AGENT_URL` and `$STAGE_AGENT_TOKEN`, then
/// `$XDG_CONFIG_HOME/stagectl` (or `~/.config/stagectl`), then http://127.0.0.1:7824 without a token.
/// The file holds lines `agent = URL` and `token-file = PATH` (`~/` is the home folder); `#` begins a
/// comment line.
/// Errors: Failure Usage when the file has other lines, or a token file can't be read, is empty or
/// holds more than one word.
Settings findSettings(const std::string& agentOption, const std::string& tokenFileOption);

} // namespace agent::ctl
