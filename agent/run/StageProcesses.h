#pragma once

#include "agent/model/Run.h"
#include "agent/process/ProcessWait.h"
#include "agent/run/SecretFolder.h"
#include "agent/run/StateFolder.h"

#include <filesystem>
#include <vector>

namespace agent
{

/// Returns the processes of a stage as a person may see them: the arguments and what they wait for without the
/// secrets of its run and those of `$STAGE_MASK`. Empty where the stage doesn't run.
/// Blocks: for a walk over /proc, perhaps two.
std::vector<ProcessDetail> shownProcesses(const StateFolder& state, const Run& run,
                                          const Stage& stage, const SecretFolder& secrets);

} // namespace agent
