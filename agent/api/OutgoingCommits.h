#pragma once

#include "agent/model/Run.h"
#include "agent/store/DeployedRuns.h"

#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// What an approval sends out: the commits since the last run of the service in which the same stage ended well.
struct OutgoingCommits
{
    struct Commit
    {
        std::string hash;
        std::string subject; ///< the first line of its message
    };

    std::string stageId; ///< that awaits the approval; empty: none does
    std::optional<DeployedRuns::WentOut> since;
    bool complete = false;       ///< the list goes back to `since`
    std::vector<Commit> commits; ///< the newest first, 100 at most
};

/// Reads them from the record: the git plugin told the commits when it checked out.
/// Threads: any. Errors: those of DeployedRuns.
OutgoingCommits outgoingCommits(RecordSession& connection, const Run& run);

std::string toApiJson(const OutgoingCommits& outgoing);

} // namespace agent
