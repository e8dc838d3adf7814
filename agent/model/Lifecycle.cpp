#include "agent/model/Lifecycle.h"

#include <array>

namespace agent
{

namespace
{

constexpr Status idle = Status::Idle;
constexpr Status going = Status::InProgress;
constexpr Status waiting = Status::AwaitingApproval;
constexpr Status good = Status::Success;
constexpr Status bad = Status::Failure;

constexpr Transition nothing(Status status)
{
    return {Effect::Nothing, status};
}

constexpr Transition ignore{Effect::Ignore, idle};
constexpr Transition refuse{Effect::Refuse, idle};
constexpr Transition busy{Effect::Busy, idle};
constexpr Transition remove{Effect::Remove, idle};

/// A row a state, a column an event, both in the order of their enums.
constexpr std::array<std::array<Transition, 12>, 7> table{{
    // Idle
    {{{Effect::Start, going},
      {Effect::AskApproval, waiting},
      ignore,
      ignore,
      ignore,
      nothing(idle),
      nothing(idle),
      {Effect::Start, going},
      refuse,
      {Effect::Skip, good},
      refuse,
      remove}},
    // AwaitingApproval
    {{ignore,
      nothing(waiting),
      ignore,
      ignore,
      ignore,
      {Effect::EndWaiting, bad},
      refuse,
      {Effect::Start, going},
      nothing(waiting),
      {Effect::Skip, good},
      {Effect::Reject, bad},
      remove}},
    // Running
    {{ignore,
      ignore,
      {Effect::RecordEnd, good},
      {Effect::RecordEnd, bad},
      ignore,
      {Effect::EndProcesses, bad},
      refuse,
      nothing(going),
      refuse,
      {Effect::EndProcesses, good},
      {Effect::EndProcesses, bad},
      refuse}},
    // External
    {{ignore,
      ignore,
      ignore,
      ignore,
      {Effect::RecordEnd, bad},
      {Effect::EndWaiting, bad},
      refuse,
      nothing(going),
      refuse,
      {Effect::EndExternal, good},
      {Effect::EndExternal, bad},
      refuse}},
    // Stopping
    {{ignore,
      ignore,
      {Effect::RecordEnd, good},
      {Effect::RecordEnd, bad},
      ignore,
      nothing(going),
      busy,
      nothing(going),
      busy,
      busy,
      busy,
      refuse}},
    // Succeeded
    {{ignore, ignore, ignore, ignore, ignore, nothing(good), refuse, refuse, refuse, nothing(good),
      refuse, remove}},
    // Failed
    {{ignore,
      ignore,
      ignore,
      ignore,
      ignore,
      nothing(bad),
      {Effect::TryAgain, idle},
      refuse,
      refuse,
      {Effect::Accept, good},
      nothing(bad),
      remove}},
}};

} // namespace

Transition transition(StageState state, StageEvent event)
{
    return table[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
}

StageState stateOf(const Stage& stage, bool external)
{
    switch (stage.status)
    {
    case Status::Idle:
        return StageState::Idle;
    case Status::AwaitingApproval:
        return StageState::AwaitingApproval;
    case Status::Success:
        return StageState::Succeeded;
    case Status::Failure:
        return StageState::Failed;
    case Status::InProgress:
        break;
    }
    if (external)
        return StageState::External;
    return stage.intent == Intent::None ? StageState::Running : StageState::Stopping;
}

StageEvent patchTo(Status status)
{
    switch (status)
    {
    case Status::Idle:
        return StageEvent::PatchIdle;
    case Status::InProgress:
        return StageEvent::PatchInProgress;
    case Status::AwaitingApproval:
        return StageEvent::PatchAwaitingApproval;
    case Status::Success:
        return StageEvent::PatchSuccess;
    case Status::Failure:
        break;
    }
    return StageEvent::PatchFailure;
}

std::vector<Status> possiblePatches(StageState state)
{
    std::vector<Status> possible;
    for (const auto status : {idle, going, waiting, good, bad})
    {
        const Effect effect = transition(state, patchTo(status)).effect;
        if (effect != Effect::Nothing && effect != Effect::Refuse && effect != Effect::Busy)
            possible.push_back(status);
    }
    return possible;
}

} // namespace agent
