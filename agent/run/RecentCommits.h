#pragma once

namespace agent
{

/// What the git plugin tells people who approve, and no later stage: an output that has the commit and those before it, the
/// newest first, each `HASH SUBJECT` on a line.
inline constexpr const char* recentCommits = "recentCommits";

} // namespace agent
