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

/// Keeps a command that watches going while the agent restarts: a failed look is made again.
class Patience
{
public:
    /// Calls `look` once; a Failure that may pass (no connection, 5xx) is swallowed and told once to
    /// `say`, until it has lasted for two minutes. Shape: whether `look` went through.
    bool attempt(const std::function<void()>& look,
                 const std::function<void(const std::string&)>& say);

private:
    std::optional<std::chrono::steady_clock::time_point> _failingSince;
};

/// Waits until the next look.
void pauseBetweenLooks();

/// Watches a run to its end and shows it.
class RunFollower
{
public:
    RunFollower(const Client& client, std::string runId, FollowView& view);

    /// Blocking: until the run has ended. Shape: whether it ended in SUCCESS.
    /// Errors: Failure, when the agent stays away for two minutes or the run is deleted.
    bool follow();

private:
    void look();
    void update(FollowedStage seen, const FollowedStage* known);
    void readLog(const FollowedStage& stage);
    void tellPastAttempts(const FollowedStage& stage);
    void addDetail(FollowedStage& stage, const std::string& query = "") const;

    const Client& _client;
    FollowView& _view;
    Patience _patience;
    FollowedRun _run;
    std::map<std::pair<std::string, std::int64_t>, LogTail> _tails; ///< by stage id and attempt
    std::map<std::string, std::int64_t> _told; ///< by stage id: the last attempt whose end was told
    std::set<std::string> _asked;              ///< stages whose approval was asked for
};

} // namespace agent::ctl
