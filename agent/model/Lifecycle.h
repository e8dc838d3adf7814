#pragma once

#include "agent/model/Stage.h"

#include <vector>

namespace agent
{

/// The state of a stage, finer than its Status: who holds it decides what may follow.
enum class StageState
{
    Idle,
    AwaitingApproval,
    Running,  ///< IN_PROGRESS, a shim has it
    External, ///< IN_PROGRESS, an outside party has it
    Stopping, ///< IN_PROGRESS, its end was decided and its processes are being ended
    Succeeded,
    Failed,
    Delayed, ///< IDLE until its next attempt: the last one failed, and its `retry` asks for another
    Skipped  ///< IDLE for good: its `when` does not hold
};

/// What can happen to a stage.
enum class StageEvent
{
    Due,            ///< all before it ended well and its run holds a slot
    DueForApproval, ///< the same, but it is not approved yet
    EndedWell,      ///< its processes are gone, and it succeeded
    EndedBadly,     ///< its processes are gone, and it failed
    TimedOut, ///< the time of an external stage, or for an approval, is over (a shim keeps all others)
    Stop,     ///< its run is stopped
    PatchIdle,
    PatchInProgress,
    PatchAwaitingApproval,
    PatchSuccess,
    PatchFailure,
    Delete,
    Retry,  ///< it failed, and its `retry` asks for another attempt
    Reset,  ///< a stage before it is tried again
    Abandon ///< its run can't go on through a fault of the agent
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
    RecordEnd,    ///< record how it ended
    EndProcesses, ///< commit the intent, then end every process, then record
    EndExternal,  ///< record the end that the outside party reports
    EndWaiting,   ///< record its end: there is no process to end
    Reject,       ///< the approval is refused
    Skip,         ///< counts as done without having run
    Accept,       ///< its failure counts as success
    TryAgain,     ///< it and all after it become IDLE
    Remove,       ///< delete it from the record
    Clear         ///< it becomes IDLE, as if it had not run
};

/// The new status and what to do. `to` has no meaning for Ignore, Refuse, Busy and Remove.
struct Transition
{
    Effect effect = Effect::Refuse;
    Status to = Status::Idle;
};

/// The whole life of a stage: returns what follows `event` in `state`. Every change of a stage's status
/// follows it. Pure; every pair has an answer.
Transition transition(StageState state, StageEvent event);

/// Returns the state of `stage`; `external`: its plugin is the one without code.
StageState stateOf(const Stage& stage, bool external);

/// Returns the event of a PATCH to `status`.
StageEvent patchTo(Status status);

/// Returns the statuses that a PATCH may ask for in `state`, for the body of a 409.
std::vector<Status> possiblePatches(StageState state);

} // namespace agent
