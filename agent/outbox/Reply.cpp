#include "agent/outbox/Reply.h"

#include <Poco/DateTimeFormat.h>
#include <Poco/DateTimeParser.h>
#include <Poco/NumberParser.h>

#include <algorithm>

namespace agent
{

Reply replyOf(int status, const std::string& retryAfter, TimeMs now)
{
    Reply reply{.text = "HTTP " + std::to_string(status)};
    // 407 is the proxy's: the target has not seen the report.
    // 403 with a time to come again is a rate limit (GitHub).
    const bool later = status == 407 || status == 408 || status == 425 || status == 429 ||
                       (status == 403 && !retryAfter.empty());
    if (status >= 200 && status < 300)
        reply.kind = Reply::Kind::Confirmed;
    else if (status == 410)
        reply.kind = Reply::Kind::Gone;
    else if (status >= 400 && status < 500 && !later)
        reply.kind = Reply::Kind::Refused;
    if (reply.kind != Reply::Kind::Failed || retryAfter.empty())
        return reply;
    constexpr std::int64_t longestMs = 3'600'000;
    Poco::Int64 seconds = 0;
    Poco::DateTime date;
    int zone = 0;
    if (Poco::NumberParser::tryParse64(retryAfter, seconds))
        reply.waitMs = std::clamp<std::int64_t>(seconds, 0, longestMs / 1000) * 1000;
    else if (retryAfter.ends_with(" GMT") && // Poco takes anything for a date
             Poco::DateTimeParser::tryParse(Poco::DateTimeFormat::HTTP_FORMAT, retryAfter, date,
                                            zone))
        reply.waitMs = std::clamp<std::int64_t>(date.timestamp().epochMicroseconds() / 1000 - now,
                                                0, longestMs);
    return reply;
}

} // namespace agent
