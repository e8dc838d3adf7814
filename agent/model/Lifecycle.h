#pragma once

#include "agent/model/Stage.h"

#include <vector>

namespace agent
{

/// Where a stage stands, told finer than its Status: who holds it decides what may follow.
enum class StageState
{
    Idle,
    AwaitingApproval,
    Running,  ///< IN_PROGRESS, a shim has it
    External, ///< IN_PROGRESS, an outside party has it
    Stopping, ///< IN_PROGRESS, its end was decided and its processes are being ended
    Succeeded,
    Failed
};

/// What can happen to a stage.
enum class StageEvent
{
    Due,            ///< all before it ended well and its run holds a slot
    DueForApproval, ///< the same, but nobody approved it yet
    EndedWell,      ///< its processes are gone, and it did what it should
    EndedBadly,     ///< its processes are gone, and it did not
    TimedOut,       ///< an external stage's time is over (a shim keeps time for all others)
    Stop,           ///< its run is stopped
    PatchIdle,
    PatchInProgress,
    PatchAwaitingApproval,
    PatchSuccess,
    PatchFailure,
    Delete
};

/// What the engine does about it.
enum class Effect
{
    Nothing,      ///< it is so already
    Ignore,       ///< too late or too early to matter
    Refuse,       ///< 409 with what is possible
    Busy,         ///< 409 stage_stopping: its end is decided already
    Start,        ///< launch it, or record an external stage's start
    AskApproval,  ///< wait for a person
    RecordEnd,    ///< write down how it ended
    EndProcesses, ///< commit the intent, then end every process, then record
    EndExternal,  ///< record the end that the outside party reports
    EndWaiting,   ///< STOPPED: there is no process to end
    Reject,       ///< the refusal of an approval
    Skip,         ///< counts as done without having run
    Accept,       ///< its failure is taken as good
    TryAgain,     ///< it and all after it become IDLE
    Remove        ///< delete it from the record
};

/// The new status and what to do. `to` is meaningless for Ignore, Refuse, Busy and Remove.
struct Transition
{
    Effect effect = Effect::Refuse;
    Status to = Status::Idle;
};

/// The whole life of a stage: what follows `event` in `state`. Pure; every pair has an answer.
Transition transition(StageState state, StageEvent event);

/// Where `stage` stands; `external`: its plugin is the one without code.
StageState stateOf(const Stage& stage, bool external);

/// The event of a PATCH to `status`.
StageEvent patchTo(Status status);

/// The statuses that a PATCH may ask for in `state`, for the body of a 409.
std::vector<Status> possiblePatches(StageState state);

} // namespace agent
