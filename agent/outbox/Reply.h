#pragma once

#include "agent/model/Timestamp.h"

#include <cstdint>
#include <optional>
#include <string>

namespace agent
{

/// How a target took a report.
struct Reply
{
    enum class Kind
    {
        Confirmed, ///< 2xx
        Gone,      ///< 410: the target wants no more reports
        Refused,   ///< 4xx other than those below and 410: this report will never be taken
        Failed ///< all else: to be tried again; 407, 408, 425, 429, and 403 with Retry-After too
    };

    Kind kind = Kind::Failed;
    std::string text;                   ///< `HTTP 500`, or what went wrong; for people
    std::optional<std::int64_t> waitMs; ///< Retry-After, an hour at most
};

/// Returns what an answer with this status, and with this Retry-After (empty: none), means.
Reply replyOf(int status, const std::string& retryAfter, TimeMs now);

} // namespace agent
