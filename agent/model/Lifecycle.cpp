#include "agent/model/Lifecycle.h"

#include <array>

namespace agent
{

namespace
{

constexpr Transition ignore{Effect::Ignore, Status::Idle};
constexpr Transition refuse{Effect::Refuse, Status::Idle};
constexpr Transition busy{Effect::Busy, Status::Idle};
constexpr Transition erase{Effect::Remove, Status::Idle};
constexpr Transition start{Effect::Start, Status::InProgress};
constexpr Transition ask{Effect::AskApproval, Status::AwaitingApproval};
constexpr Transition good{Effect::RecordEnd, Status::Success};
constexpr Transition bad{Effect::RecordEnd, Status::Failure};
constexpr Transition killGood{Effect::EndProcesses, Status::Success};
constexpr Transition killBad{Effect::EndProcesses, Status::Failure};
constexpr Transition extGood{Effect::EndExternal, Status::Success};
constexpr Transition extBad{Effect::EndExternal, Status::Failure};
constexpr Transition endIdle{Effect::EndWaiting, Status::Failure};
constexpr Transition reject{Effect::Reject, Status::Failure};
constexpr Transition skip{Effect::Skip, Status::Success};
constexpr Transition accept{Effect::Accept, Status::Success};
constexpr Transition again{Effect::TryAgain, Status::Idle};
constexpr Transition clear{Effect::Clear, Status::Idle};
constexpr Transition same{Effect::Nothing, Status::Idle}; // `to` is the status it has

/// A row a state, a column an event, both in the order of their enums.
// clang-format off
constexpr std::array<std::array<Transition, 15>, 9> table{{
    //                       due     approval ended   ended   timed   stop     patch   patch    patch    patch     patch    delete  retry   reset   abandon
    //                                        well    badly   out              IDLE    IN_PROGR AWAITING SUCCESS   FAILURE
    /* Idle */             {{start,  ask,     ignore, ignore, ignore, same,    same,   start,   refuse,  skip,     refuse,  erase,  ignore, same,   endIdle}},
    /* AwaitingApproval */ {{ignore, same,    ignore, ignore, bad,    endIdle, refuse, start,   same,    skip,     reject,  erase,  ignore, clear,  endIdle}},
    /* Running */          {{ignore, ignore,  good,   bad,    ignore, killBad, refuse, same,    refuse,  killGood, killBad, refuse, ignore, ignore, bad}},
    /* External */         {{ignore, ignore,  ignore, ignore, bad,    endIdle, refuse, same,    refuse,  extGood,  extBad,  refuse, ignore, ignore, endIdle}},
    /* Stopping */         {{ignore, ignore,  good,   bad,    ignore, same,    busy,   same,    busy,    busy,     busy,    refuse, ignore, ignore, bad}},
    /* Succeeded */        {{ignore, ignore,  ignore, ignore, ignore, same,    refuse, refuse,  refuse,  same,     refuse,  erase,  ignore, clear,  ignore}},
    /* Failed */           {{ignore, ignore,  ignore, ignore, ignore, same,    again,  refuse,  refuse,  accept,   same,    erase,  clear,  clear,  ignore}},
    /* Delayed */          {{start,  ask,     ignore, ignore, ignore, endIdle, same,   start,   refuse,  skip,     refuse,  erase,  ignore, clear,  endIdle}},
    /* Skipped */          {{ignore, ignore,  ignore, ignore, ignore, same,    same,   refuse,  refuse,  refuse,   refuse,  erase,  ignore, ignore, ignore}},
}};
// clang-format on

/// The status of a stage that is in the state.
constexpr std::array<Status, 9> statusOf{
    Status::Idle,       Status::AwaitingApproval, Status::InProgress, Status::InProgress,
    Status::InProgress, Status::Success,          Status::Failure,    Status::Idle,
    Status::Idle};

} // namespace

Transition transition(StageState state, StageEvent event)
{
    Transition next = table[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
    if (next.effect == Effect::Nothing)
        next.to = statusOf[static_cast<std::size_t>(state)];
    return next;
}

StageState stateOf(const Stage& stage, bool external)
{
    switch (stage.status)
    {
    case Status::Idle:
        if (!stage.skipped.empty())
            return StageState::Skipped;
        return stage.retryAt ? StageState::Delayed : StageState::Idle;
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
    for (const auto status : {Status::Idle, Status::InProgress, Status::AwaitingApproval,
                              Status::Success, Status::Failure})
    {
        const Effect effect = transition(state, patchTo(status)).effect;
        if (effect != Effect::Nothing && effect != Effect::Refuse && effect != Effect::Busy)
            possible.push_back(status);
    }
    return possible;
}

} // namespace agent
