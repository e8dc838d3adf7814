#pragma once

#include "agent/model/Run.h"
#include "agent/run/EngineStatus.h"
#include "agent/run/ServiceCatalog.h"
#include "agent/store/RunOutlook.h"

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace agent
{

/// What keeps a run from going on.
struct Waiting
{
    /// `slot`: all are in use. `concurrency`: as many runs of its service as it allows have begun, `runId` the
    /// first of them. `draining`, `disk`: the agent starts nothing. `approval`, `external`: a person, or an outside
    /// party, has to act, the person until `until`, if that is limited. `retry`: the next attempt of its stage begins at `until`.
    std::string reason;
    std::string runId;
    std::optional<int> place; ///< in the queue, from 1; none behind the first thousand
    std::optional<TimeMs> until;
};

/// A run with what its stages and the queue say about it.
struct RunFacts
{
    Run run;
    std::optional<RunOutlook::FailedStage> failedStage;
    std::optional<Waiting> waitingFor;
    std::optional<RunOutlook::CurrentStage> currentStage = std::nullopt;
    RunOutlook::Results results = {};
    std::optional<std::vector<RunOutlook::StageState>> stages = std::nullopt; ///< of view=detail
};

/// Finds out how runs stand, for one answer: what several runs need is read once.
/// Threads: one at a time. Errors: those of RunOutlook.
class RunInquiry
{
public:
    /// `status`: of the engine, as it was when the answer began.
    RunInquiry(RecordSession& connection, const EngineStatus& status,
               const ServiceCatalog& services)
        : _outlook(connection), _status(status), _services(services)
    {
    }

    /// `withStages`: how each of its stages stands, too.
    RunFacts of(Run run, bool withStages = false);

private:
    [[nodiscard]] std::optional<Waiting> waitingFor(const Run& run);
    [[nodiscard]] std::optional<Waiting> inQueue(const Run& run);
    [[nodiscard]] std::string blockedBy(const Run& run);

    RunOutlook _outlook;
    const EngineStatus& _status;
    const ServiceCatalog& _services;
    std::optional<std::unordered_map<std::string, int>> _places; ///< read when the first one waits
    std::map<std::string, std::string> _blockers;                ///< by service; empty: none
};

} // namespace agent
