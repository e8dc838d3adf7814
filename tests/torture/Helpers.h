#pragma once

#include "agent/os/ProcessStat.h"
#include "tests/support/Daemon.h"

#include <string>
#include <vector>

namespace agent::test
{

/// The processes that keep files and caches.
enum class Helper
{
    Collector,
    Restore, ///< stage-cache before a stage's command
    Save,    ///< stage-cache after a run
    Shim     ///< of a collector or a restore
};

std::string toString(Helper helper);

/// Those of this daemon that live now.
std::vector<ProcessStat> helpersOf(const Daemon& daemon, Helper helper);

} // namespace agent::test
