#include "agent/ctl/Cells.h"

#include "agent/ctl/Json.h"
#include "agent/ctl/StatusWords.h"
#include "agent/ctl/Text.h"
#include "agent/model/Timestamp.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace agent::ctl
{

namespace
{

bool endsWith(const std::string& text, std::string_view end)
{
    return text.size() >= end.size() &&
           text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// Returns a member's value for a reader; the suffix of the key gives its unit.
std::string readable(const std::string& key, const rapidjson::Value& value)
{
    std::string plain = asText(value);
    if (value.IsString() && (endsWith(key, "At") || endsWith(key, "Since")))
    {
        const auto time = parseTime(plain);
        return time ? localTime(*time, nowMs()) + "  (" + plain + ")" : plain;
    }
    if (!value.IsInt64())
        return plain;
    if (key == "duration")
        return durationText(value.GetInt64());
    if (endsWith(key, "Ms"))
        return durationTextMs(value.GetInt64());
    if (endsWith(key, "Bytes"))
        return bytesText(value.GetInt64());
    return plain;
}

} // namespace

std::string idCell(const Terminal& terminal, const std::string& id)
{
    return terminal.interactive ? id.substr(0, 8) : id;
}

std::string timeCell(const rapidjson::Value& object, const char* key)
{
    const std::string written = text(object, key);
    const auto time = parseTime(written);
    return time ? localTime(*time, nowMs()) : written;
}

std::string statusCell(const Terminal& terminal, const std::string& status)
{
    if (!terminal.interactive)
        return visible(status);
    const std::string words = statusWords(visible(status));
    return coloured(terminal, words, words);
}

std::string agoCell(const Terminal& terminal, const rapidjson::Value& object, const char* key)
{
    const auto time = parseTime(text(object, key));
    if (!terminal.interactive || !time)
        return timeCell(object, key);
    return agoText(nowMs() - *time);
}

std::string tookCell(const rapidjson::Value& object)
{
    if (const auto seconds = number(object, "duration"))
        return durationText(*seconds);
    const auto started = parseTime(text(object, "startedAt"));
    if (text(object, "status") != "IN_PROGRESS" || !started)
        return "";
    return durationText((nowMs() - *started) / 1000);
}

std::string waitsCell(const Terminal& terminal, const rapidjson::Value& run)
{
    const rapidjson::Value* waiting = member(run, "waitingFor");
    if (waiting == nullptr || !waiting->IsObject())
        return "";
    const std::string reason = text(*waiting, "reason");
    const std::string place = text(*waiting, "place");
    const std::string inQueue = place.empty() ? "" : ", place " + place;
    if (reason == "slot")
        return "a slot" + inQueue;
    if (reason == "concurrency")
        return "run " + idCell(terminal, text(*waiting, "runId")) + " of its service" + inQueue;
    if (reason == "draining")
        return "the agent, which is draining" + inQueue;
    if (reason == "disk")
        return "space on the disk" + inQueue;
    if (reason == "approval")
        return "an approval" +
               (text(*waiting, "until").empty() ? "" : " until " + timeCell(*waiting, "until"));
    if (reason == "external")
        return "an outside party";
    if (reason == "retry")
        return "its next attempt at " + timeCell(*waiting, "until");
    return reason;
}

std::string described(const Terminal& terminal, const rapidjson::Value& object)
{
    std::vector<std::pair<std::string, std::string>> lines;
    for (const auto& entry : object.GetObject())
    {
        const std::string key = asText(entry.name);
        if (entry.value.IsObject())
            for (const auto& inner : entry.value.GetObject())
            {
                const std::string name = asText(inner.name);
                lines.emplace_back(std::string(key).append(".").append(name),
                                   readable(name, inner.value));
            }
        else
            lines.emplace_back(key, readable(key, entry.value));
    }
    std::size_t width = 0;
    for (auto& [key, value] : lines)
    {
        key = visible(key);
        value = visible(value);
        width = std::max(width, displayWidth(key));
    }
    std::string out;
    for (const auto& [key, value] : lines)
    {
        const bool status = key == "status";
        out += key + (value.empty() ? "" : std::string(width + 2 - displayWidth(key), ' ')) +
               (status ? coloured(terminal, value, value) : value) + "\n";
    }
    return out;
}

} // namespace agent::ctl
