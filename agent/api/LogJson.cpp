// Lines of logs in JSON.
#include "agent/api/Json.h"
#include "agent/api/JsonMembers.h"
#include "agent/model/Utf8.h"

namespace agent
{

using namespace json;

std::string logLineJson(const LogLine& line, const std::string& stageId, int attempt)
{
    return object(
        [&](Writer& out)
        {
            put(out, "id", std::to_string(attempt) + "." + std::to_string(line.number));
            put(out, "message", validUtf8(line.text));
            put(out, "timestamp", formatTime(line.timeMs));
            put(out, "type",
                line.stream == 2 ? "stderr" : "stdout"); // the shim's words are no error
            put(out, "stageId", stageId);
            putNumber(out, "score", std::optional(line.timeMs));
        });
}

} // namespace agent
