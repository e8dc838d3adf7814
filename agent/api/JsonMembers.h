#pragma once

#include "agent/model/Labels.h"
#include "agent/model/Timestamp.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What the answers in JSON are written with.
namespace agent::json
{

using Buffer = rapidjson::StringBuffer;
using Writer = rapidjson::Writer<Buffer>;

inline void put(Writer& out, const char* key, std::string_view value)
{
    out.Key(key);
    out.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}

inline void putOrNull(Writer& out, const char* key, const std::string& value)
{
    out.Key(key);
    value.empty() ? out.Null() : out.String(value);
}

template <typename T> void putNumber(Writer& out, const char* key, const std::optional<T>& value)
{
    out.Key(key);
    value ? out.Int64(*value) : out.Null();
}

inline void putTime(Writer& out, const char* key, const std::optional<TimeMs>& value)
{
    out.Key(key);
    value ? out.String(formatTime(*value)) : out.Null();
}

inline void putTexts(Writer& out, const char* key, const std::vector<std::string>& texts)
{
    out.Key(key);
    out.StartArray();
    for (const auto& text : texts)
        out.String(text);
    out.EndArray();
}

inline void putLabels(Writer& out, const Labels& labels)
{
    out.Key("labels");
    out.StartObject();
    for (const auto& [key, value] : labels)
        put(out, key.c_str(), value);
    out.EndObject();
}

/// Returns what `fill` writes.
template <typename Fill> std::string written(Fill fill)
{
    Buffer buffer;
    Writer out(buffer);
    fill(out);
    return {buffer.GetString(), buffer.GetSize()};
}

/// Returns an object with the members that `fill` writes.
template <typename Fill> std::string object(Fill fill)
{
    return written(
        [&](Writer& out)
        {
            out.StartObject();
            fill(out);
            out.EndObject();
        });
}

} // namespace agent::json
