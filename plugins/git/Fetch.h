#pragma once

#include "plugins/git/Git.h"

#include <string>

// The command lines that fetch objects, and those that find out which are to be fetched. As in Git.h.
//
// With a filter (Filter.h) git has to take a repository for a partial clone of what it fetches from: it is told so for the one
// command. No mirror and no workspace is configured as one while the plugin works, so no command fetches by itself what is
// missing: there it fails.
namespace agent::git::command
{

/// Prints the address that git makes of `repository` by the operator's configuration, LF.
Arguments actualUrl(const std::string& mirror, const std::string& repository);

/// Starts what speaks with an http server. It answers `stateless-connect git-upload-pack`, LF, LF on stdin with `fallback` where that has
/// only files, or an older protocol; else with LF and what the server can do. Source: gitremote-helpers(7), gitprotocol-v2(5).
Arguments askServer(const std::string& mirror, const std::string& url);

/// Fetches all branches and tags of `repository` into `mirror`. `unshallow`: the mirror is shallow; it gets what the
/// repository has.
Arguments fetchAll(const std::string& mirror, const std::string& repository, bool unshallow,
                   const std::string& filter = "");

/// Fetches one ref by its full name, or one commit.
Arguments fetchRef(const std::string& mirror, const std::string& repository,
                   const std::string& fullRef, const std::string& filter = "");
Arguments fetchCommit(const std::string& mirror, const std::string& repository,
                      const std::string& commit, const std::string& filter = "");

/// Prints, as `?ID` and LF each, what `mirror` has not got of the files of `commit`, or of the one at `path`.
Arguments listMissing(const std::string& mirror, const std::string& commit,
                      const std::string& path = "");

/// Fetches the objects whose ids stand in stdin, in one request.
Arguments fetchFiles(const std::string& mirror, const std::string& repository);

/// Fails where a commit or folder of `from` (`--all`: of all branches and tags) is missing; files may be.
Arguments walkFolders(const std::string& mirror, const std::string& from);

/// Checks all objects. With a filter, those may be missing that another one names.
Arguments verifyMirror(const std::string& mirror, const std::string& filter = "");

/// Fetches a commit that may be on no branch or tag into a workspace. `depth`: so many commits of its history; 0: all.
Arguments fetchFromMirror(const std::string& workspace, const std::string& mirror,
                          const std::string& commit, int depth = 0, bool withoutFiles = false);

/// Prints the id of the commit's topmost folder; fetches that with all files below, whatever the workspace has of it.
Arguments topFolder(const std::string& mirror, const std::string& commit);
Arguments fetchFolder(const std::string& workspace, const std::string& mirror,
                      const std::string& folder);

} // namespace agent::git::command
