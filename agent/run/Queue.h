#pragma once

#include "agent/model/Run.h"

#include <functional>
#include <string>
#include <vector>

namespace agent
{

/// Chooses which queued runs get a slot. Pure, so that what is fair is tested without processes.
struct Queue
{
    int slots = 1;         ///< runs at a time
    bool draining = false; ///< no run begins any more; begun ones go on

    /// Runs of a service at a time; asked by its name.
    std::function<int(const std::string& service)> concurrency;

    /// Shape: the ids of those of `open` (all runs that have not ended) that may go on now, in this order:
    /// tried again by hand first, then by priority, then first come first served.
    /// A run that waits for its service's `concurrency` does not hold up those behind it.
    [[nodiscard]] std::vector<std::string> next(const std::vector<Run>& open) const;
};

} // namespace agent
