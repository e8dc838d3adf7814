#pragma once

#include "agent/os/FreeSpace.h"
#include "agent/run/Batch.h"
#include "agent/run/StateFolder.h"

#include <algorithm>
#include <cstdint>
#include <string>

namespace agent
{

/// What has to be free on the state folder's file system, or no stage starts.
struct DiskLimits
{
    std::int64_t minFreeBytes = 0;
    std::int64_t minFreeInodes = 0; ///< a twentieth of all, where that is less
};

/// Whether the state folder's disk has room for another stage.
/// Threads: any, but for low(Batch&).
class DiskSpace
{
public:
    DiskSpace(const StateFolder& state, DiskLimits limits) : _state(state), _limits(limits) {}

    [[nodiscard]] FreeSpace free() const { return _state.free(); }

    /// Returns what is missing, such as "below disk.min_free, 3 MiB free"; empty: nothing.
    [[nodiscard]] std::string lack(const FreeSpace& free) const
    {
        constexpr std::int64_t share = 20;
        if (free.bytes < _limits.minFreeBytes)
            return "below disk.min_free, " + std::to_string(free.bytes >> 20) + " MiB free";
        if (free.inodes && *free.inodes < std::min(_limits.minFreeInodes, free.inodesInAll / share))
            return "below disk.min_free_inodes, " + std::to_string(*free.inodes) + " inodes free";
        return {};
    }

    /// The same of what is free now.
    [[nodiscard]] std::string lack() const { return lack(free()); }

    [[nodiscard]] bool low() const { return !lack().empty(); }

    /// The same, checked once for the batch.
    [[nodiscard]] bool low(Batch& batch) const
    {
        if (!batch.diskLow)
            batch.diskLow = low();
        return *batch.diskLow;
    }

private:
    const StateFolder& _state;
    const DiskLimits _limits;
};

} // namespace agent
