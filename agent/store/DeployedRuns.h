#pragma once

#include "agent/store/Database.h"

#include <cstdint>
#include <optional>
#include <string>

namespace agent
{

/// Which runs of a service went out. A thin view on a connection, as RunStore.
/// Errors: Poco::Data::DataException.
class DeployedRuns
{
public:
    explicit DeployedRuns(RecordSession& connection) : _connection(connection) {}

    struct WentOut
    {
        std::string runId;
        std::string commitHash;
    };

    /// Returns the last run of the service before `seq` in which the stage `name` ended well, out of the thousand before;
    /// nothing when there is none.
    [[nodiscard]] std::optional<WentOut> last(const std::string& serviceId, std::int64_t seq,
                                              const std::string& name);

private:
    RecordSession& _connection;
};

} // namespace agent
