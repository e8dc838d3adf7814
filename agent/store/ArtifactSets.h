#pragma once

#include "agent/model/ArtifactSet.h"
#include "agent/store/Database.h"

#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// What is in the store of artifacts, and until when. A thin view on a connection, as RunStore. The rows of a run go with it.
/// Errors: Poco::Data::DataException.
class ArtifactSets
{
public:
    explicit ArtifactSets(RecordSession& connection) : _connection(connection) {}

    void add(const ArtifactSet& set);
    void remove(const std::string& stageId, int attempt);

    /// Lets other services have it, as of this service's branch. `runSeq`: of its run.
    void offer(const std::string& stageId, int attempt, const std::string& serviceId,
               const std::string& branch, std::int64_t runSeq);

    /// The one that other services may have whose run was created last, and that was made last in it.
    [[nodiscard]] std::optional<ArtifactSet>
    newest(const std::string& serviceId, const std::string& branch, const std::string& name);

    [[nodiscard]] bool has(const std::string& stageId, int attempt);

    /// Those that expire, the next one first.
    [[nodiscard]] std::vector<ArtifactSet> byExpiry(int limit);

    /// Of all attempts of the run's stages.
    void expireAt(const std::string& runId, const std::optional<TimeMs>& at);

private:
    RecordSession& _connection;
};

} // namespace agent
