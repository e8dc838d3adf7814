#pragma once

#include "agent/run/Batch.h"
#include "agent/run/Caches.h"
#include "agent/run/DiskSpace.h"
#include "agent/run/Retention.h"

namespace agent
{

/// Removes what can be done without when the disk is low, before stages are kept from starting for it: caches first, the
/// one that was not used for longest before the others, then workspaces of ended runs, the one that ended first before the
/// others, then artifacts past half of their time. See docs/operating.md. Threads: the engine's.
class DiskRelief
{
public:
    DiskRelief(const DiskSpace& disk, Caches& caches, Retention& retention)
        : _disk(disk), _caches(caches), _retention(retention)
    {
    }

    /// Takes the next step, after the commit; to be called again as long as the disk is low. Returns whether there is one.
    bool relieve(Batch& batch)
    {
        return _caches.makeRoom(batch) || _retention.makeRoom(batch, _disk.lack());
    }

private:
    const DiskSpace& _disk;
    Caches& _caches;
    Retention& _retention;
};

} // namespace agent
