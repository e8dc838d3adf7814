#pragma once

#include "agent/run/DiskRelief.h"
#include "agent/run/DiskSpace.h"
#include "agent/run/Queue.h"
#include "agent/run/RunFlow.h"
#include "agent/run/Timers.h"

namespace agent
{

/// Gives free slots to the runs that the queue names. Threads: the engine's.
class Scheduler
{
public:
    Scheduler(Queue& queue, const DiskSpace& disk, DiskRelief& relief, RunFlow& flow,
              Timers& timers)
        : _queue(queue), _disk(disk), _relief(relief), _flow(flow), _timers(timers)
    {
    }

    /// Starts as many queued runs as there are slots and their services allow; none while the disk is low: then what
    /// can be done without is removed.
    void schedule(Batch& batch);

private:
    void start(Batch& batch, const QueuedRun& next);

    Queue& _queue;
    const DiskSpace& _disk;
    DiskRelief& _relief;
    RunFlow& _flow;
    Timers& _timers;
};

} // namespace agent
