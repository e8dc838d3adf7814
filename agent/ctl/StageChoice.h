#pragma once

#include "agent/ctl/Client.h"

#include <string>

namespace agent::ctl
{

/// Which stage of a run is meant where only the run is named.
enum class Choose
{
    ToRead,  ///< the failed, else the running, else the waiting one, else the last that ran
    ToChange ///< the running, else the failed, else the waiting one
};

/// Returns the id of a stage of the run, given by its name, its type (in any case, with `-` for `_`) or its number
/// from 0; an empty `part` chooses.
/// Errors: Failure NotFound, which lists the stages; Usage where several fit.
std::string stageOf(const Client& client, const std::string& runId, const std::string& part,
                    Choose choose);

} // namespace agent::ctl
