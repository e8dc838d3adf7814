#include "agent/run/Approvals.h"

#include "agent/model/Declined.h"

#include <algorithm>

namespace agent
{

namespace
{

/// A word that is a role's stands for the role, whoever is called so.
bool stands(const std::string& word, const Actor& actor)
{
    const auto role = roleFrom(word);
    return role ? actor.role >= *role : word == actor.name;
}

std::string listed(const std::vector<std::string>& words)
{
    std::string text;
    for (const std::string& word : words)
        text += (text.empty() ? "" : ", ") + word;
    return text;
}

} // namespace

void Approvals::needApprover(const Run& run, const Stage& stage, const Actor& actor)
{
    const ApprovalSpec& approval = _specs.stage(run, stage).approval;
    if (!approval.required || stage.approved || approval.by.empty() ||
        std::any_of(approval.by.begin(), approval.by.end(),
                    [&](const std::string& word) { return stands(word, actor); }))
        return;
    throw Declined(Declined::Kind::Forbidden, "not_an_approver",
                   stage.name + " may be approved by " + listed(approval.by) + "; '" + actor.name +
                       "' may reject it");
}

void Approvals::request(Batch& batch, const Run& run, Stage& stage)
{
    const Status from = stage.status;
    stage.status = transition(_specs.state(stage), StageEvent::DueForApproval).to;
    if (const auto expires = _specs.stage(run, stage).approval.expiresMs)
    {
        stage.expiresAt = nowMs() + *expires;
        setTimer(batch, stage, *expires);
    }
    batch.runs.update(stage);
    _writer.stageChanged(batch, stage, from, agentActor, "");
}

void Approvals::resume(Batch& batch, const Run& run, const Stage& stage)
{
    if (!stage.expiresAt)
        return;
    // At most the whole time: the clock may have been set back.
    setTimer(batch, stage,
             std::clamp<std::int64_t>(*stage.expiresAt - nowMs(), 0,
                                      _specs.stage(run, stage).approval.expiresMs.value_or(0)));
}

bool Approvals::expired(Batch& batch, Stage& stage)
{
    if (stage.status != Status::AwaitingApproval || !stage.expiresAt)
        return false;
    const Transition next = transition(_specs.state(stage), StageEvent::TimedOut);
    _writer.endStage(batch, stage, next.to, Cause::Expired, agentActor,
                     "nobody approved it until " + formatTime(*stage.expiresAt));
    return true;
}

void Approvals::setTimer(Batch& batch, const Stage& stage, std::int64_t delayMs)
{
    batch.afterCommit.push_back(
        [this, delayMs, id = stage.id, attempt = stage.attempt] {
            _timers.set({TimerKind::ApprovalExpiry, id, attempt}, delayMs);
        });
}

} // namespace agent
