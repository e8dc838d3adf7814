#include "agent/store/KeptWorkspaces.h"

#include "agent/store/Query.h"

namespace agent
{

namespace
{

const Query keptOfRun{"SELECT path, used, last FROM kept_workspaces WHERE run_id = ?"};
const Query lastHolder{"SELECT k.run_id, r.ended_at FROM kept_workspaces k "
                       "JOIN runs r ON r.id = k.run_id WHERE k.path = ? AND k.last = 1"};
const Query noHolder{"UPDATE kept_workspaces SET last = 0 WHERE path = ? AND last = 1"};
const Query takeKept{"INSERT OR REPLACE INTO kept_workspaces (run_id, path, used, last) "
                     "VALUES (?, ?, 1, 1)"};
const Query turnKeptAway{"UPDATE kept_workspaces SET used = 0 WHERE run_id = ?"};

} // namespace

std::optional<KeptWorkspace> KeptWorkspaces::ofRun(const std::string& runId)
{
    Statement& query = _connection.prepare(keptOfRun).bind(runId);
    std::optional<KeptWorkspace> kept;
    if (query.step())
    {
        kept.emplace().path = query.text();
        kept->used = query.integer() != 0;
        kept->last = query.integer() != 0;
    }
    query.reset();
    return kept;
}

std::optional<WorkspaceHolder> KeptWorkspaces::holder(const std::string& path)
{
    Statement& query = _connection.prepare(lastHolder).bind(path);
    std::optional<WorkspaceHolder> holder;
    if (query.step())
    {
        holder.emplace().runId = query.text();
        holder->ended = query.maybeInteger().has_value();
    }
    query.reset();
    return holder;
}

void KeptWorkspaces::take(const std::string& runId, const std::string& path)
{
    _connection.prepare(noHolder).bind(path).run();
    _connection.prepare(takeKept).bind(runId).bind(path).run();
}

void KeptWorkspaces::turnAway(const std::string& runId)
{
    _connection.prepare(turnKeptAway).bind(runId).run();
}

} // namespace agent
