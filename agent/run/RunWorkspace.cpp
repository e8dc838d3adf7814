#include "agent/run/RunWorkspace.h"

#include "agent/store/KeptWorkspaces.h"

namespace agent
{

std::filesystem::path workspaceOf(RecordSession& connection, const StateFolder& state,
                                  const std::string& runId)
{
    const auto kept = KeptWorkspaces(connection).ofRun(runId);
    if (!kept || !kept->used)
        return state.workspace(runId);
    return kept->last ? state.keptWorkspaces() / kept->path : std::filesystem::path();
}

} // namespace agent
