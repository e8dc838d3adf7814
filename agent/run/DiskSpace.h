#pragma once

#include "agent/run/Batch.h"
#include "agent/run/StateFolder.h"

#include <cstdint>

namespace agent
{

/// Whether the state folder's disk has room for another stage.
/// Threads: any, but for low(Batch&).
class DiskSpace
{
public:
    DiskSpace(const StateFolder& state, std::int64_t minFreeBytes)
        : _state(state), _minFreeBytes(minFreeBytes)
    {
    }

    [[nodiscard]] std::int64_t freeBytes() const { return _state.freeBytes(); }

    [[nodiscard]] bool low() const { return freeBytes() < _minFreeBytes; }

    /// The same, checked once for the batch.
    [[nodiscard]] bool low(Batch& batch) const
    {
        if (!batch.diskLow)
            batch.diskLow = low();
        return *batch.diskLow;
    }

private:
    const StateFolder& _state;
    const std::int64_t _minFreeBytes;
};

} // namespace agent
