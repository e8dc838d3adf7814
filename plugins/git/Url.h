#pragma once

#include <string>
#include <string_view>

// What can be told of a repository's address without asking git. Addresses have passed refuseRepository.
namespace agent::git
{

/// Returns whether `repository` is local: a path or a file URL.
bool isLocal(std::string_view repository);

/// Returns `repository` without the password of its URL, for logs and the workspace's configuration.
std::string withoutPassword(const std::string& repository);

/// Returns the name by which the host's mirror of `repository` is found: the same whatever user and password an http
/// URL holds, however protocol and host are written, with or without the protocol's own port and a final slash. For
/// ssh the user is part of the address: paths may be relative to his home.
std::string mirrorName(const std::string& repository);

/// Returns where `repository` is served: `https://git.example.org:8443`, protocol and host in lower case, the port only if it
/// is not the protocol's own; empty if it is local. `user@host:path` is ssh.
std::string hostPlace(const std::string& repository);

/// Returns the address of a submodule that a commit of `parent` gives as `url`: one that begins with `./` or `../` is
/// relative to `parent`, with its user and password.
/// Errors: empty if the path leads out of the parent's host.
/// Source: gitsubmodules(7), git-submodule(1) on `add`.
std::string submoduleUrl(const std::string& parent, const std::string& url);

/// Returns the file URL of an absolute path. Source: git decodes %XX in URLs.
std::string fileUrl(const std::string& path);

} // namespace agent::git
