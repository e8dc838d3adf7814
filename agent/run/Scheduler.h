#pragma once

#include "agent/run/DiskSpace.h"
#include "agent/run/RunFlow.h"
#include "agent/run/ServiceCatalog.h"
#include "agent/run/Timers.h"

namespace agent
{

/// Gives free slots to queued runs. Threads: the engine's.
class Scheduler
{
public:
    Scheduler(int slots, const ServiceCatalog& services, const DiskSpace& disk, RunFlow& flow,
              Timers& timers)
        : _slots(slots), _services(services), _disk(disk), _flow(flow), _timers(timers)
    {
    }

    /// Starts as many queued runs as there are slots and their services allow; none while the disk is low.
    void schedule(Batch& batch);

    /// While draining no run begins; begun ones go on.
    void drain(Batch& batch, bool on);
    [[nodiscard]] bool draining() const { return _draining; }

private:
    const int _slots;
    const ServiceCatalog& _services;
    const DiskSpace& _disk;
    RunFlow& _flow;
    Timers& _timers;
    bool _draining = false;
};

} // namespace agent
