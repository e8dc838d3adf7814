#pragma once

#include "agent/model/HookDelivery.h"
#include "agent/run/SubmitRun.h"

#include <vector>

namespace agent::commands
{

/// What came of a delivery.
struct Delivered
{
    HookDelivery delivery;
    bool seen = false; ///< it had come in before; `delivery` is what came of it then
};

/// Queues a run for each submission and records the delivery, all or nothing. A delivery whose id came in within 24 h
/// changes nothing, also where both are on their way at once. For each run a line is added to the outcome.
/// Errors: as submit().
Delivered deliver(Engine& engine, const HookDelivery& delivery,
                  const std::vector<Submission>& submissions);

} // namespace agent::commands
