#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace agent
{

/// What a client may write at most; the API answers 400 beyond, and 409 beyond `remarks`.
namespace bounds
{

inline constexpr std::size_t commitMessage = 8192; ///< bytes, as those below
inline constexpr std::size_t committer = 1024;
inline constexpr std::size_t reason = 4096;
inline constexpr std::size_t name = 255;  ///< of what is looked up: a service, a commit, a key
inline constexpr std::size_t labels = 32; ///< of a run
inline constexpr std::size_t labelKey = 63;
inline constexpr std::size_t labelValue = 255;
inline constexpr int remarks = 1000;           ///< changes with a free text, of a stage or of a run
inline constexpr std::size_t variables = 1000; ///< of a request's `env`
inline constexpr std::size_t variablesSize = 262'144; ///< their names and values together
inline constexpr std::size_t variable = 131'000;      ///< name and value; execve(2) refuses 128 KiB
inline constexpr std::size_t environment = 1'048'576; ///< of a stage: `env` and `with` together

} // namespace bounds

// What names and places from files and requests may look like before they come near an argv, a path
// or an environment. Each function says what is wrong, and nothing (empty) when all is right.

/// A text for people, of at most `maxBytes`: UTF-8, without control characters other than newline and tab.
/// What is wrong shows the first such character escaped.
std::string textProblem(std::string_view text, std::size_t maxBytes);

/// Returns `text` as textProblem() takes it: what comes out of a repository is not refused but escaped
/// and cut.
std::string fittedText(std::string_view text, std::size_t maxBytes);

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

/// The key of a label: letters, digits and `._/-`, at most 63, the first a letter or digit.
std::string labelKeyProblem(std::string_view text);

/// The value of a label: one line of at most 255 bytes.
std::string labelValueProblem(std::string_view text);

/// The address of a page of a forge: http or https, with `placeholder` such as `{commit}` in it.
std::string linkProblem(std::string_view text, std::string_view placeholder);

/// A service's name: `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`, but no UUID, which would be taken for an id.
std::string serviceNameProblem(std::string_view text);

/// A pattern of files for artifacts and reports: relative, without `..`, of at most 1,024 bytes.
std::string artifactProblem(std::string_view text);

/// The name of artifacts: `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`.
std::string artifactNameProblem(std::string_view text);

/// A file of a repository, from its root: `.stage-agent.yaml`, `ci/pipeline.yaml`.
std::string pipelineFileProblem(std::string_view text);

} // namespace agent
