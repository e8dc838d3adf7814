#pragma once

#include "plugins/git/Credential.h"
#include "plugins/git/Git.h"
#include "plugins/git/KeptTree.h"

#include <filesystem>
#include <map>
#include <string>

namespace agent::git
{

/// What the agent, and no stage or client, says of how git is used on this host. It comes in variables that the agent
/// alone sets (OrderBuilder): `STAGE_AGENT_GIT_CONFIG`, `STAGE_AGENT_TRUSTED_MIRRORS`, `STAGE_AGENT_SANDBOX`,
/// `STAGE_AGENT_FORK_OF`, `STAGE_AGENT_BRANCH_OF_COMMIT`, `STAGE_AGENT_BRANCH_TO_TELL`, `STAGE_AGENT_RECENT_COMMITS`,
/// `STAGE_AGENT_WORKSPACE`, `STAGE_AGENT_WORKSPACE_BRANCH`, `STAGE_AGENT_WORKSPACE_INSTEAD`, and those of Credential.h.
struct Surroundings
{
    /// The file that takes the place of ~/.gitconfig, for what runs outside the sandbox.
    std::string config = "/dev/null";

    /// No stage can write to the mirrors, so the objects of those that were made since then may be copied unread.
    bool mirrorsTrusted = false;

    /// The service's own, for its repository's host.
    Credential credential;

    /// The branch, or `HEAD`, that a fork's pull request is to go into; empty: the run is of no fork.
    std::string forkOf;

    /// The branch, or tag, that the commit has to be on; empty: any.
    std::string branchOfCommit;

    /// The branch, or tag, of which the output `branch` is to tell whether the commit is on it; empty: none.
    std::string branchToTell;

    /// What the workspace keeps of earlier runs.
    Keep keep = Keep::Nothing;

    /// The branch that the commit has to be on for that; else the checkout is made in `instead`. Empty, both: any.
    std::string workspaceBranch;
    std::filesystem::path instead;

    /// Somebody is to see which commits go out, before he approves it: they are told as the output `recentCommits`.
    bool recentCommits = false;

    /// What executes the command behind it in the stage's sandbox; empty: there is none.
    Arguments sandbox;

    /// To be called once. Errors: Failure if the sandbox can't be read, which must not mean that there is none, or the
    /// credential can't be used.
    static Surroundings read();

    /// Returns the settings of system and global configuration that decide what a checkout writes, and nothing else:
    /// filters (Git LFS) and line ends. As variables that hand them to git.
    [[nodiscard]] std::map<std::string, std::string> checkoutSettings() const;
};

} // namespace agent::git
