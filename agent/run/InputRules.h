#pragma once

#include <string>
#include <string_view>

namespace agent
{

// What names and places from files and requests may look like before they come near an argv, a path
// or an environment. Each function says what is wrong, and nothing (empty) when all is right.

/// A Git repository: https, http, ssh, git or file URL, `user@host:path`, or an absolute path. Refuses
/// what Git would take for an option or a remote helper (`ext::`), also inside the host's name.
/// Source: gitremote-helpers(7), git-clone(1) "GIT URLS".
std::string repositoryProblem(std::string_view text);

/// A branch as git-check-ref-format(1) `--branch` takes it, without its `@{-N}`.
std::string branchProblem(std::string_view text);

/// A name in the environment that the agent does not set itself, of at most 256 bytes.
std::string environmentProblem(std::string_view name);

/// A variable's value: any UTF-8 text, without control characters other than tabs and line ends.
std::string environmentValueProblem(std::string_view text);

/// A commit, tag or branch as `commit` of a run takes it: no option of Git's, no blanks.
std::string commitProblem(std::string_view text);

/// A service's name: `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`, but no UUID, which would be taken for an id.
std::string serviceNameProblem(std::string_view text);

/// A pattern for artifacts: relative, and without `..`.
std::string artifactProblem(std::string_view text);

} // namespace agent
