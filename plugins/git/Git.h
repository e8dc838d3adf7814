#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

// All git command lines of the plugin, as pure functions that are tested with hostile values: here a repository
// or ref could become an option or a program.
namespace agent::git
{

using Arguments = std::vector<std::string>;

/// Returns why `repository` is refused; empty if it is not. Allowed are https, http, ssh, git and file URLs,
/// `user@host:path` and absolute paths.
std::string refuseRepository(std::string_view repository);

/// Returns why `ref` is refused; empty if it is not. The empty ref is the repository's HEAD.
/// Source: git-check-ref-format(1), and no leading `-`.
std::string refuseRef(std::string_view ref);

/// Returns whether `ref` can be a commit id: 40 hex digits, or 4 to 39 of them.
bool isCommit(std::string_view ref);
bool isShortCommit(std::string_view ref);

/// Returns whether `repository` is local: a path or a file URL.
bool isLocal(std::string_view repository);

/// Returns `repository` without the password of its URL, for logs and the workspace's configuration.
std::string withoutPassword(const std::string& repository);

/// Returns `text` with `?` for each control character: one line, harmless for a terminal.
std::string printable(std::string text);

/// Returns git's environment. Only PATH and HOME are inherited: a service's `env` is not for git. `submodules`
/// restricts the protocols to those that a repository's .gitmodules may use.
std::map<std::string, std::string> environment(const std::string& repository, bool submodules);

/// Return the argv of one git command each. Values must have passed the checks above; paths are absolute.
namespace command
{
Arguments initMirror(const std::string& mirror);

/// Fetches all branches and tags of `repository` into `mirror`.
Arguments fetchAll(const std::string& mirror, const std::string& repository);

/// Fetches one ref by its full name, or one commit.
Arguments fetchRef(const std::string& mirror, const std::string& repository,
                   const std::string& fullRef);
Arguments fetchCommit(const std::string& mirror, const std::string& repository,
                      const std::string& commit);

/// Resolves HEAD of `repository`. Needs no mirror; `anyRepository` prevents a search for one.
Arguments readHead(const std::string& anyRepository, const std::string& repository);

/// Resolves `name` (`refs/…` or hex digits) to a commit in `mirror`.
Arguments resolve(const std::string& mirror, const std::string& name);

Arguments verifyMirror(const std::string& mirror);
Arguments cloneMirror(const std::string& mirror, const std::string& workspace);
Arguments setOrigin(const std::string& workspace, const std::string& repository);
Arguments checkOut(const std::string& workspace, const std::string& commit);
Arguments checkOutSubmodules(const std::string& workspace);

/// Prints the committer, a NUL and the whole message.
Arguments describe(const std::string& workspace, const std::string& commit);

/// Prints the operator's core.sshCommand.
Arguments readSshCommand();
} // namespace command

} // namespace agent::git
