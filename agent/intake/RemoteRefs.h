#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace agent
{

/// Branches and tags of a repository: by name (`refs/heads/main`, `refs/tags/v1`) the commit. Of a tag that is an object
/// of its own, the commit that it names.
using RemoteRefs = std::map<std::string, std::string>;

/// What git is asked with.
struct RemoteLookup
{
    std::filesystem::path gitConfig; ///< what git reads in place of ~/.gitconfig; empty: nothing
    int stop = -1;                   ///< git is ended when this descriptor can be read
};

/// Asks a repository elsewhere for its branches and tags, by `git ls-remote`. The server is a stranger: it has 30 s, git has
/// 256 MiB of memory, and more than 16 MiB of answer are too much; then git is killed with all that it started. So are more than 50,000
/// branches and tags.
/// Errors: std::runtime_error with one line for people.
/// Blocks: for 31 s at most. Threads: any.
RemoteRefs remoteRefs(const std::string& url, const RemoteLookup& lookup);

/// Reads what `git ls-remote` says; lines that name no branch or tag are passed over.
RemoteRefs refsFrom(const std::string& text);

} // namespace agent
