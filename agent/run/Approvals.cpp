#include "agent/run/Approvals.h"

namespace agent
{

void Approvals::request(Batch& batch, Stage& stage)
{
    const Status from = stage.status;
    stage.status = transition(_specs.state(stage), StageEvent::DueForApproval).to;
    batch.runs.update(stage);
    _writer.stageChanged(batch, stage, from, agentActor, "");
}

} // namespace agent
