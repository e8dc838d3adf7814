// What the API says of changes, and of what they ended.
#include "agent/api/Json.h"
#include "agent/api/JsonMembers.h"

namespace agent
{

using namespace json;

std::string toApiJson(const HistoryEntry& entry)
{
    return object(
        [&](Writer& out)
        {
            put(out, "at", formatTime(entry.at));
            put(out, "actor", entry.actor);
            putOrNull(out, "from", entry.from);
            putOrNull(out, "to", entry.to);
            putOrNull(out, "cause", entry.cause ? std::string(toString(*entry.cause)) : "");
            putOrNull(out, "reason", entry.reason);
            putNumber(out, "attempt", std::optional(entry.attempt));
            putOrNull(out, "stageId", entry.stageId);
        });
}

std::string stoppedJson(int stopped)
{
    return "{\"executionsStopped\":" + std::to_string(stopped) + "}";
}

std::string deletedJson(const std::string& runId, const std::string& stageId)
{
    return object(
        [&](Writer& out)
        {
            put(out, "runId", runId);
            putOrNull(out, "stageId", stageId);
        });
}

} // namespace agent
