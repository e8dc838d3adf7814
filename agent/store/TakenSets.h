#pragma once

#include "agent/model/TakenSet.h"
#include "agent/store/Database.h"

#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// What attempts were given of what other services made, and what of it they hold. A thin view on a connection, as RunStore. The rows
/// of an attempt go with its stage. Errors: Poco::Data::DataException.
class TakenSets
{
public:
    explicit TakenSets(RecordSession& connection) : _connection(connection) {}

    void add(const TakenSet& set);

    /// In the order of the stage's needs.
    [[nodiscard]] std::vector<TakenSet> ofAttempt(const std::string& stageId, int attempt);

    /// Of the last attempts of a run's stages, in the order of their stages.
    [[nodiscard]] std::vector<TakenSet> ofRun(const std::string& runId);

    /// The attempt has ended.
    void release(const std::string& stageId, int attempt);

    /// Whether an attempt at work was given anything of the run, of the stage, or of its attempt.
    [[nodiscard]] bool holdsRun(const std::string& runId);
    [[nodiscard]] bool holdsStage(const std::string& runId, const std::string& stageId);
    [[nodiscard]] bool holdsSet(const std::string& runId, const std::string& stageId, int attempt);

    /// The attempts that hold something: stage and number.
    [[nodiscard]] std::vector<std::pair<std::string, int>> holders();

private:
    std::vector<TakenSet> all(Statement& query);

    RecordSession& _connection;
};

} // namespace agent
