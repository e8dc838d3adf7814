#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

// Every git command line of the plugin. Kept apart from what runs them, because this is where a hostile
// repository or ref would become an option or a program: pure functions, tested with such values.
namespace agent::git
{

using Arguments = std::vector<std::string>;

/// Says why `repository` isn't used; empty: it is. Allowed are https, http, ssh, git and file URLs,
/// `user@host:path` and absolute paths.
std::string refuseRepository(std::string_view repository);

/// Says why `ref` isn't used; empty: it is. The empty ref stands for the repository's HEAD.
/// Source: git-check-ref-format(1), and no leading `-`.
std::string refuseRef(std::string_view ref);

/// Whether `ref` can be a commit's name: 40 hex digits, or 4 to 39 of them.
bool isCommit(std::string_view ref);
bool isShortCommit(std::string_view ref);

/// Whether git reaches `repository` without a network: a path or a file URL.
bool isLocal(std::string_view repository);

/// `repository` without a password in its URL: for logs, and for the workspace's configuration.
std::string withoutPassword(const std::string& repository);

/// `text` with `?` for each control character: a message is one line, and no terminal obeys it.
std::string printable(std::string text);

/// git's whole environment. Of this process's variables only PATH and HOME: a service's `env` is for its
/// commands, not for git. `submodules` narrows the protocols to what a repository's own file may ask for.
std::map<std::string, std::string> environment(const std::string& repository, bool submodules);

/// The argv of one git command each. Values must have passed the checks above; paths are absolute.
namespace command
{
Arguments initMirror(const std::string& mirror);

/// All branches and tags of `repository` into `mirror`.
Arguments fetchAll(const std::string& mirror, const std::string& repository);

/// One ref by its full name, or one commit.
Arguments fetchRef(const std::string& mirror, const std::string& repository,
                   const std::string& fullRef);
Arguments fetchCommit(const std::string& mirror, const std::string& repository,
                      const std::string& commit);

/// What HEAD of `repository` is; needs no mirror, `anyRepository` only keeps git from looking around.
Arguments readHead(const std::string& anyRepository, const std::string& repository);

/// The commit that `name` (`refs/…` or hex digits) stands for in `mirror`.
Arguments resolve(const std::string& mirror, const std::string& name);

Arguments verifyMirror(const std::string& mirror);
Arguments cloneMirror(const std::string& mirror, const std::string& workspace);
Arguments setOrigin(const std::string& workspace, const std::string& repository);
Arguments checkOut(const std::string& workspace, const std::string& commit);
Arguments checkOutSubmodules(const std::string& workspace);

/// Committer, a NUL, the whole message.
Arguments describe(const std::string& workspace, const std::string& commit);

/// The configured core.sshCommand of the operator.
Arguments readSshCommand();
} // namespace command

} // namespace agent::git
