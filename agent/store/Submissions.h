#pragma once

#include "agent/model/Timestamp.h"
#include "agent/store/Database.h"

#include <optional>
#include <string>

namespace agent
{

/// What was submitted under an Idempotency-Key. A thin view on a connection, as RunStore.
/// Errors: Poco::Data::DataException.
class Submissions
{
public:
    struct Submission
    {
        std::string runId;
        std::string bodyHash;
    };

    explicit Submissions(RecordSession& connection) : _connection(connection) {}

    /// Returns what was submitted under `key` since `since`.
    [[nodiscard]] std::optional<Submission> find(const std::string& key, TimeMs since);

    /// Remembers it, and forgets what is 24 h older.
    void remember(const std::string& key, const Submission& submission, TimeMs at);

    void forget(TimeMs before);

private:
    RecordSession& _connection;
};

} // namespace agent
