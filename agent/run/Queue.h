#pragma once

#include "agent/model/Run.h"

#include <functional>
#include <string>
#include <vector>

namespace agent
{

/// Chooses which queued runs get a slot. A pure function, testable without processes.
struct Queue
{
    int slots = 1;         ///< runs at a time
    bool draining = false; ///< no new runs start; started ones go on

    /// The concurrency of a service, by name.
    std::function<int(const std::string& service)> concurrency;

    /// Returns the ids of those of `open` (all runs that have not ended) that may go on now: resumed runs first,
    /// then by priority, then by age. A run that waits for its service's `concurrency` does not block others.
    [[nodiscard]] std::vector<std::string> next(const std::vector<Run>& open) const;
};

} // namespace agent
