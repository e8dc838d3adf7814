#pragma once

#include "agent/exec/ExecPlan.h"
#include "agent/run/OrderBuilder.h"

#include <filesystem>
#include <string>

namespace agent
{

/// Executes what `plan` says in a folder of its own, as the engine would execute it in a run: the same
/// order, shim, cgroups and ends, but one attempt, no record and no daemon. The log of the last stage goes
/// to standard output, those before it and one line for each step to standard error. INT, TERM, HUP and
/// QUIT stop the stage, a second one kills it.
/// When it returns no process of the stages is left, nor the folder, unless that is to be kept. Where we
/// are killed ourselves the shim hears of it and ends its stage; the folder stays then.
/// `shim`: the stage-shim program; `defaults`: all of it but the mirrors.
/// Errors: ExecRefusal Usage where no folder can be made. Threads: the program's first and only one.
ExecExit execStage(ExecPlan plan, const ExecRequest& request, const PluginRegistry& plugins,
                   const std::filesystem::path& shim, OrderDefaults defaults);

/// One line on standard error: `exec: text`, made visible; more where the text has more.
void tellExec(const std::string& text);

} // namespace agent
