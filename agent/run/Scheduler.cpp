#include "agent/run/Scheduler.h"

namespace agent
{

namespace
{

/// While the disk is too full to start anything, it is checked again this often.
constexpr std::int64_t diskAgainMs = 2000;

} // namespace

void Scheduler::schedule(Batch& batch)
{
    if (_disk.low(batch))
    {
        const bool removing = _relief.relieve(batch);
        if ((removing || _queue.next()) && !_timers.pending(TimerKind::DiskCheck))
            batch.afterCommit.push_back([this]
                                        { _timers.set({TimerKind::DiskCheck}, diskAgainMs); });
        return;
    }
    // A run that then waits for an approval or an outside party gives its slot back, for the next one.
    while (const auto next = _queue.next())
    {
        const auto error = batch.attempt([&] { start(batch, *next); });
        if (error)
            _flow.abandon(batch, next->id, textOf(error));
    }
}

void Scheduler::start(Batch& batch, const QueuedRun& next)
{
    auto run = batch.runs.run(next.id);
    if (!run)
        return batch.remove(
            {.id = next.id, .seq = next.seq}); // not on record: it must not be tried for ever
    run->holdsSlot = true;
    run->wantsSlot = false;
    run->resumed = false;
    _flow.advance(batch, *run);
}

} // namespace agent
