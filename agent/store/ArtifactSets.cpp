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
const Query offerSet{"UPDATE artifact_sets SET service_id = ?, branch = ?, run_seq = ? "
                     "WHERE stage_id = ? AND attempt = ?"};
const Query newestSet{artifactSetTable.select("WHERE service_id = ? AND branch = ? AND name = ? "
                                              "ORDER BY run_seq DESC, created_at DESC LIMIT 1")};
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

void ArtifactSets::offer(const std::string& stageId, int attempt, const std::string& serviceId,
                         const std::string& branch, std::int64_t runSeq)
{
    _connection.prepare(offerSet)
        .bind(serviceId)
        .bind(branch)
        .bind(runSeq)
        .bind(stageId)
        .bind(attempt)
        .run();
}

std::optional<ArtifactSet> ArtifactSets::newest(const std::string& serviceId,
                                                const std::string& branch, const std::string& name)
{
    Statement& query = _connection.prepare(newestSet).bind(serviceId).bind(branch).bind(name);
    std::optional<ArtifactSet> found;
    if (query.step())
        artifactSetTable.read(query, found.emplace());
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
