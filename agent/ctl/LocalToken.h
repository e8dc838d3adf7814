#pragma once

#include <optional>
#include <string>

namespace agent::ctl
{

/// A token that an agent of this host has written for those who may read its state folder.
struct LocalToken
{
    std::string token;
    std::string file; ///< where it was found
};

/// Returns the token in `admin.token` of the default state folders (/var/lib/stage-agent,
/// $XDG_STATE_HOME/stage-agent, ~/.local/state/stage-agent) whose agent listens at `url`, as `address` in
/// that folder says: whatever else listens on this host must not get it. At a Unix socket only for who runs
/// the agent: for all others the kernel speaks.
/// Returns nothing where there is none that may be read.
std::optional<LocalToken> localToken(const std::string& url);

} // namespace agent::ctl
