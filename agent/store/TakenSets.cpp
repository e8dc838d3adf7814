#include "agent/store/TakenSets.h"

#include "agent/store/Query.h"
#include "agent/store/Tables.h"

#include <algorithm>

namespace agent
{

namespace
{

const Query insertSet{takenSetTable.insert("INSERT OR REPLACE")};
const Query setsOfAttempt{
    takenSetTable.select("WHERE stage_id = ? AND attempt = ? ORDER BY number")};
const Query stagesOfRun{"SELECT id, attempt FROM stages WHERE run_id = ? ORDER BY ordinal"};
const Query releaseSets{"UPDATE taken_sets SET held = 0 WHERE stage_id = ? AND attempt = ?"};
const Query heldOfRun{
    "SELECT from_stage, from_attempt FROM taken_sets WHERE held = 1 AND from_run = ?"};
const Query allHolders{"SELECT stage_id, attempt FROM taken_sets WHERE held = 1 ORDER BY from_run"};

/// Whether there is a row for which `fits` says so.
template <typename Fits> bool any(Statement& query, Fits fits)
{
    bool found = false;
    while (!found && query.step())
    {
        const std::string stage = query.text();
        found = fits(stage, static_cast<int>(query.integer()));
    }
    query.reset();
    return found;
}

} // namespace

void TakenSets::add(const TakenSet& set)
{
    takenSetTable.bindInsert(_connection.prepare(insertSet), set).run();
}

std::vector<TakenSet> TakenSets::all(Statement& query)
{
    std::vector<TakenSet> sets;
    while (query.step())
        takenSetTable.read(query, sets.emplace_back());
    query.reset();
    return sets;
}

std::vector<TakenSet> TakenSets::ofAttempt(const std::string& stageId, int attempt)
{
    return all(_connection.prepare(setsOfAttempt).bind(stageId).bind(attempt));
}

std::vector<TakenSet> TakenSets::ofRun(const std::string& runId)
{
    Statement& query = _connection.prepare(stagesOfRun).bind(runId);
    std::vector<std::pair<std::string, int>> stages;
    while (query.step())
    {
        std::string id = query.text();
        stages.emplace_back(std::move(id), static_cast<int>(query.integer()));
    }
    query.reset();
    std::vector<TakenSet> sets;
    for (const auto& [stage, attempt] : stages)
        std::ranges::move(ofAttempt(stage, attempt), std::back_inserter(sets));
    return sets;
}

void TakenSets::release(const std::string& stageId, int attempt)
{
    _connection.prepare(releaseSets).bind(stageId).bind(attempt).run();
}

bool TakenSets::holdsRun(const std::string& runId)
{
    return any(_connection.prepare(heldOfRun).bind(runId),
               [](const std::string&, int) { return true; });
}

bool TakenSets::holdsStage(const std::string& runId, const std::string& stageId)
{
    return any(_connection.prepare(heldOfRun).bind(runId),
               [&](const std::string& stage, int) { return stage == stageId; });
}

bool TakenSets::holdsSet(const std::string& runId, const std::string& stageId, int attempt)
{
    return any(_connection.prepare(heldOfRun).bind(runId), [&](const std::string& stage, int number)
               { return stage == stageId && number == attempt; });
}

std::vector<std::pair<std::string, int>> TakenSets::holders()
{
    Statement& query = _connection.prepare(allHolders);
    std::vector<std::pair<std::string, int>> found;
    while (query.step())
    {
        std::string id = query.text();
        found.emplace_back(std::move(id), static_cast<int>(query.integer()));
    }
    query.reset();
    return found;
}

} // namespace agent
