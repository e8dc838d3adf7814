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

/// Returns whether `ref` can be a commit id: 40 or 64 hex digits (SHA-1, SHA-256), or at least 4 of them. A short one
/// may be of 40 digits, in a repository of SHA-256.
bool isCommit(std::string_view ref);
bool isShortCommit(std::string_view ref);

/// Returns `text` with `?` for each control character: one line, harmless for a terminal.
std::string printable(std::string text);

/// Returns git's environment outside the sandbox. Only PATH and HOME are inherited: a service's `env` is not for git.
/// `config` takes the place of ~/.gitconfig. `submodules` restricts the protocols to those that the .gitmodules of
/// `repository` may use.
std::map<std::string, std::string> environment(const std::string& repository, bool submodules,
                                               const std::string& config = "/dev/null");

/// Returns git's environment for a checkout below `folder`: no configuration of this host, no protocol but file.
std::map<std::string, std::string> checkoutEnvironment(const std::string& folder);

/// Return the argv of one git command each. Values must have passed the checks above; paths are absolute.
namespace command
{
/// Returns the beginning of every command and `more`. The operator's configuration (proxy, credential helper, certificates)
/// applies where it is given, but neither it nor a repository can make git run a hook or a monitor, name things
/// differently, or colour what is read by a program.
Arguments line(const Arguments& more);

/// `format`: sha1 or sha256.
Arguments initMirror(const std::string& mirror, const std::string& format);

/// Resolves HEAD of `repository`. Needs no mirror; `anyRepository` prevents a search for one.
Arguments readHead(const std::string& anyRepository, const std::string& repository);

/// Resolves `name` (`refs/…` or hex digits) to a commit in `mirror`.
Arguments resolve(const std::string& mirror, const std::string& name);

/// Succeeds where `commit` is an ancestor of `branch`, or its commit.
Arguments isAncestor(const std::string& mirror, const std::string& commit,
                     const std::string& branch);

/// Prints the committer, a NUL and the whole message.
Arguments describe(const std::string& mirror, const std::string& commit);

/// Prints the commit and those before it, the newest first, each `HASH SUBJECT` on a line.
Arguments recentCommits(const std::string& mirror, const std::string& commit, int most);

/// Prints path, url and update of each submodule that .gitmodules of `commit` names: name, LF, value, NUL.
Arguments listSubmoduleSettings(const std::string& mirror, const std::string& commit);

/// Prints what stands at `paths` of `commit`: mode, type, id, tab, path, NUL.
Arguments listLinks(const std::string& mirror, const std::string& commit,
                    const std::vector<std::string>& paths);

/// Prints the size of a file's content, `id`; prints the content.
Arguments sizeOfFile(const std::string& mirror, const std::string& id);
Arguments printFile(const std::string& mirror, const std::string& id);

/// How objects of a mirror come into a workspace.
enum class Copying
{
    Read,   ///< each under the hash of what it is
    Unread, ///< as files
    WithoutFiles ///< as Read, commits and folders only; the workspace is configured as a partial clone of the mirror
};

/// Makes a repository in the empty folder `workspace`.
Arguments clone(const std::string& mirror, const std::string& workspace, Copying copying);

Arguments initWorkspace(const std::string& workspace, const std::string& format);
Arguments addOrigin(const std::string& workspace, const std::string& repository);
Arguments forgetOrigin(const std::string& workspace);
Arguments setOrigin(const std::string& workspace, const std::string& repository);
Arguments configureOrigin(const std::string& workspace, const std::string& name,
                          const std::string& value);
Arguments checkOut(const std::string& workspace, const std::string& commit);

/// Fills the index with the commit, as if nothing were known of the files.
Arguments readTree(const std::string& workspace, const std::string& commit);

/// Prints each file of the commit: mode, type, id, size, tab, path, NUL.
Arguments listFiles(const std::string& workspace, const std::string& commit);

/// Print the files, each with a NUL, whose content a filter, an encoding or an identifier changes in a checkout, as their
/// attributes say; and those that get CRLF.
Arguments listFiltered(const std::string& workspace);
Arguments listWithCrlf(const std::string& workspace);

/// Reads each file of which the index knows nothing. Exit code 1: some are not as the commit has them.
Arguments refreshIndex(const std::string& workspace);

/// Prints what the commit neither has nor ignores, each with a NUL: a folder as such, with a slash at its end.
Arguments listUntracked(const std::string& workspace);

/// Removes it, repositories too.
Arguments removeUntracked(const std::string& workspace);

/// Configures the submodule at `path` of the repository in `folder`; checks its commit out.
Arguments initSubmodule(const std::string& folder, const std::string& path);
Arguments checkOutSubmodule(const std::string& folder, const std::string& path);

/// Prints the files in `folder` whose content Git LFS keeps, each with a NUL.
Arguments listFilesOfLfs(const std::string& folder);

/// Prints the operator's core.sshCommand.
Arguments readSshCommand();

/// Prints filters and line ends of the operator's configuration: name, LF, value, NUL.
Arguments readCheckoutSettings();
} // namespace command

} // namespace agent::git
