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
    bool seen =
        false; ///< it had come in before and started nothing now; `delivery` is what came of it then
};

/// Queues a run for each submission and records the delivery, all or nothing. For each run a line is added to the outcome.
/// Of a delivery whose id came in within 24 h, a service that has a run already gets no other, also where both are on
/// their way at once; what came of it then and now becomes one delivery with the runs of both.
/// A push that polling and a hook tell of has one run of a service: the second one gets none, and the outcome says so.
/// Errors: as submit().
Delivered deliver(Engine& engine, const HookDelivery& delivery,
                  const std::vector<Submission>& submissions);

} // namespace agent::commands
