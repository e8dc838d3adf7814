#pragma once

#include "agent/model/Run.h"
#include "agent/run/Pipeline.h"

#include <cstdint>
#include <optional>
#include <string>

namespace agent
{

class Engine;

/// A run to be made. Its pipeline was checked.
struct Submission
{
    Pipeline pipeline;
    std::string serviceId;
    std::string serviceName;
    std::string commit;
    std::string branch;
    std::string commitMessage;
    std::string committer;
    TriggerType trigger = TriggerType::Manual;
    std::optional<std::int64_t> pullNumber;
    Labels labels;
    std::int64_t priority = 0;
    std::string idempotencyKey; ///< empty: none
    std::string bodyHash;
    std::string actor;
    std::string polledAs; ///< the id under which polling tells of the same push; empty: it does not
    bool again = false;   ///< it is of an older commit: it supersedes nothing
};

struct Submitted
{
    Run run;
    bool created = true; ///< false: the Idempotency-Key was there already
};

namespace commands
{

/// Queues a run. Errors: Declined: Conflict, Unavailable while draining, Overloaded when runs.queue_max of
/// them wait or the disk is low.
Submitted submit(Engine& engine, const Submission& submission);

/// Submits the pipeline of an ended run once more. Returns the new run's id.
/// Errors: Declined: NotFound, and as submit().
std::string rerun(Engine& engine, const std::string& runId, const std::string& actor);

} // namespace commands

} // namespace agent
