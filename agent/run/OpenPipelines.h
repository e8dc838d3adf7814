#pragma once

#include "agent/run/Pipeline.h"

#include <cstddef>
#include <map>
#include <optional>
#include <string>

namespace agent
{

/// The parsed pipelines of runs that have not ended: handed on by who submits, else read from the record
/// when they are first needed.
/// Threads: one.
class OpenPipelines
{
public:
    /// Keeps a new run's. A long queue is not kept in memory: past some hundreds the record has to do.
    void add(const std::string& runId, const Pipeline& pipeline);

    /// Returns the run's; valid until forget().
    /// Errors: std::runtime_error when its row holds none.
    const Pipeline& of(const Run& run);

    /// The same, but keeps none that it did not have.
    [[nodiscard]] Pipeline peek(const Run& run) const;

    /// Keeps another one for the run. Returns the one before, if it was kept.
    std::optional<Pipeline> replace(const std::string& runId, const Pipeline& pipeline);

    void forget(const std::string& runId) { _pipelines.erase(runId); }

private:
    std::map<std::string, Pipeline> _pipelines;
};

} // namespace agent
