#pragma once

#include "agent/ctl/Client.h"
#include "agent/ctl/FollowView.h"
#include "agent/ctl/LogTail.h"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace agent::ctl
{

/// Lets a command that polls survive a restart of the agent.
class OutageTolerance
{
public:
    /// Calls `poll` and returns whether it succeeded. A transient Failure (no connection, 5xx) is caught
    /// and passed once to `notify`, but thrown after two minutes without a success.
    bool attempt(const std::function<void()>& poll,
                 const std::function<void(const std::string&)>& notify);

private:
    std::optional<std::chrono::steady_clock::time_point> _failingSince;
};

/// Waits until the next poll is due.
void waitForNextPoll();

/// Follows a run to its end and shows it in a view.
class RunFollower
{
public:
    RunFollower(const Client& client, std::string runId, FollowView& view);

    /// Blocks until the run has ended; returns whether it ended in SUCCESS.
    /// Errors: Failure if the agent is unavailable for two minutes or the run is deleted.
    bool follow();

private:
    void poll();
    void update(FollowedStage seen, const FollowedStage* known);
    void readLog(const FollowedStage& stage);
    void showPastAttempts(const FollowedStage& stage);
    void addDetail(FollowedStage& stage, const std::string& query = "") const;

    const Client& _client;
    FollowView& _view;
    OutageTolerance _tolerance;
    FollowedRun _run;
    std::map<std::pair<std::string, std::int64_t>, LogTail> _tails; ///< by stage id and attempt
    std::map<std::string, std::int64_t>
        _shown;                     ///< by stage id: the last attempt whose end was shown
    std::set<std::string> _waiting; ///< stages shown as waiting for approval
};

} // namespace agent::ctl
