#include "agent/run/Scheduler.h"

#include "agent/run/Queue.h"

#include <algorithm>

namespace agent
{

namespace
{

/// While the disk is too full to start anything, it is checked again this often.
constexpr std::int64_t diskAgainMs = 2000;

} // namespace

void Scheduler::schedule(Batch& batch)
{
    const Queue queue{.slots = _slots,
                      .draining = _draining,
                      .concurrency = [this](const std::string& name)
                      {
                          const auto service = _services.find(name);
                          return service ? service->concurrency : 1;
                      }};
    while (true)
    {
        const auto open = batch.runs.openRuns();
        const bool waiting =
            std::any_of(open.begin(), open.end(), [](const Run& run) { return run.wantsSlot; });
        if (!waiting)
            return;
        if (_disk.low(batch))
            break;
        const auto chosen = queue.next(open);
        if (chosen.empty())
            return;
        for (const auto& id : chosen)
        {
            const auto error = batch.attempt(
                [&]
                {
                    auto run = batch.runs.run(id);
                    run->holdsSlot = true;
                    run->wantsSlot = false;
                    run->resumed = false;
                    _flow.advance(batch, *run);
                });
            if (error)
                _flow.abandon(batch, id, textOf(error));
        }
        // Once more: a run that only waits for an approval has given its slot back.
    }
    if (!_timers.pending(TimerKind::DiskCheck))
        batch.afterCommit.push_back([this] { _timers.set({TimerKind::DiskCheck}, diskAgainMs); });
}

void Scheduler::drain(Batch& batch, bool on)
{
    batch.afterCommit.push_back([this, on] { _draining = on; });
}

} // namespace agent
