#include "agent/store/ArtifactSets.h"

#include "agent/store/Query.h"
#include "agent/store/Tables.h"

namespace agent
{

namespace
{

const Query insertSet{artifactSetTable.insert("INSERT OR REPLACE")};
const Query deleteSet{"DELETE FROM artifact_sets WHERE stage_id = ? AND attempt = ?"};
const Query hasSet{"SELECT 1 FROM artifact_sets WHERE stage_id = ? AND attempt = ?"};
const Query setsByExpiry{
    artifactSetTable.select("WHERE expires_at IS NOT NULL ORDER BY expires_at LIMIT ?")};
const Query expireSets{"UPDATE artifact_sets SET expires_at = ? WHERE stage_id IN "
                       "(SELECT id FROM stages WHERE run_id = ?)"};

} // namespace

void ArtifactSets::add(const ArtifactSet& set)
{
    artifactSetTable.bindInsert(_connection.prepare(insertSet), set).run();
}

void ArtifactSets::remove(const std::string& stageId, int attempt)
{
    _connection.prepare(deleteSet).bind(stageId).bind(attempt).run();
}

bool ArtifactSets::has(const std::string& stageId, int attempt)
{
    Statement& query = _connection.prepare(hasSet).bind(stageId).bind(attempt);
    const bool found = query.step();
    query.reset();
    return found;
}

std::vector<ArtifactSet> ArtifactSets::byExpiry(int limit)
{
    Statement& query = _connection.prepare(setsByExpiry).bind(limit);
    std::vector<ArtifactSet> sets;
    while (query.step())
        artifactSetTable.read(query, sets.emplace_back());
    query.reset();
    return sets;
}

void ArtifactSets::expireAt(const std::string& runId, const std::optional<TimeMs>& at)
{
    _connection.prepare(expireSets).bind(at).bind(runId).run();
}

} // namespace agent
