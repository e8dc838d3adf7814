#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/outbox/TargetSpec.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <Poco/Net/HTTPClientSession.h>

namespace agent
{

/// How a target took a report.
struct Reply
{
    enum class Kind
    {
        Confirmed, ///< 2xx
        Gone,      ///< 410: the target wants no more reports
        Refused,   ///< 4xx other than 408, 410, 425 and 429: this report will never be taken
        Failed     ///< all else: to be tried again
    };

    Kind kind = Kind::Failed;
    std::string text;                   ///< `HTTP 500`, or what went wrong; for people
    std::optional<std::int64_t> waitMs; ///< Retry-After, an hour at most
};

/// Returns what an answer with this status, and with this Retry-After (empty: none), means.
Reply replyOf(int status, const std::string& retryAfter, TimeMs now);

/// Returns the value of `webhook-signature`: `v1,` and the base64 of the HMAC-SHA-256 of `ID.TIMESTAMP.BODY`.
/// Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
std::string signatureOf(const std::string& key, const std::string& id, std::int64_t seconds,
                        const std::string& body);

/// Sends reports to one target, over one connection that is kept. Redirections are not followed.
/// Threads: one at a time, except for abort().
class Webhook
{
public:
    /// `caFile`: the authorities that certificates are checked against; empty: those of the system.
    Webhook(TargetSpec target, std::filesystem::path caFile);
    ~Webhook();

    /// Blocks: 10 s for each step of it, a connection, or a piece that is sent or received.
    Reply post(const Report& report);

    /// Ends the connection under a post() that waits for the target, and every later one at its start.
    void abort();

private:
    template <typename Session> class Checked;

    void connect();
    Reply exchange(const Report& report);
    void opened(int descriptor);

    const TargetSpec _target;
    const std::filesystem::path _caFile;
    std::unique_ptr<Poco::Net::HTTPClientSession> _session; ///< null: none yet, or it failed
    bool _used = false;                                     ///< a request went over it already
    std::mutex _mutex;
    bool _aborted = false; // guarded by _mutex
    FileDescriptor _open;  // guarded by _mutex; a duplicate of the connection's, for abort()
};

} // namespace agent
