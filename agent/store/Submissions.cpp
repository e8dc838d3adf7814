#include "agent/store/Submissions.h"

#include "agent/store/Query.h"

namespace agent
{

namespace
{

const Query submissionByKey{
    "SELECT run_id, body_hash FROM idempotency WHERE key = ? AND created_at >= ?"};
const Query addSubmission{"INSERT OR REPLACE INTO idempotency (key, body_hash, run_id, created_at) "
                          "VALUES (?, ?, ?, ?)"};
const Query deleteOldSubmissions{"DELETE FROM idempotency WHERE created_at < ?"};

} // namespace

std::optional<Submissions::Submission> Submissions::find(const std::string& key, TimeMs since)
{
    Statement& query = _connection.prepare(submissionByKey);
    std::optional<Submission> found;
    if (query.bind(key).bind(since).step())
    {
        found.emplace();
        found->runId = query.text();
        found->bodyHash = query.text();
    }
    query.reset();
    return found;
}

void Submissions::remember(const std::string& key, const Submission& submission, TimeMs at)
{
    constexpr TimeMs day = 86'400'000;
    forget(at - day);
    _connection.prepare(addSubmission)
        .bind(key)
        .bind(submission.bodyHash)
        .bind(submission.runId)
        .bind(at)
        .run();
}

void Submissions::forget(TimeMs before)
{
    _connection.prepare(deleteOldSubmissions).bind(before).run();
}

} // namespace agent
