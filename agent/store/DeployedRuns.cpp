#include "agent/store/DeployedRuns.h"

#include "agent/store/Query.h"

namespace agent
{

namespace
{

const Query runsBefore{"SELECT id, commit_hash FROM runs WHERE service_id = ? AND seq < ? "
                       "ORDER BY seq DESC LIMIT 1000"};
const Query stageThatEndedWell{"SELECT 1 FROM stages WHERE run_id = ? AND name = ? AND "
                               "status = 'SUCCESS' AND attempt > 0 LIMIT 1"};

} // namespace

std::optional<DeployedRuns::WentOut> DeployedRuns::last(const std::string& serviceId,
                                                        std::int64_t seq, const std::string& name)
{
    Statement& runs = _connection.prepare(runsBefore).bind(serviceId).bind(seq);
    std::optional<WentOut> found;
    while (!found && runs.step())
    {
        WentOut run;
        run.runId = runs.text();
        run.commitHash = runs.text();
        Statement& stage = _connection.prepare(stageThatEndedWell).bind(run.runId).bind(name);
        if (stage.step())
            found = std::move(run);
        stage.reset();
    }
    runs.reset();
    return found;
}

} // namespace agent
