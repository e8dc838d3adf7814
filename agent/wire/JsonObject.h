#pragma once

#include "agent/model/Stage.h"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// How Order.cpp writes and reads the JSON objects that its files are.
namespace agent
{

using JsonWriter = rapidjson::Writer<rapidjson::StringBuffer>;

/// Writes one flat object; nested ones are opened and closed by the caller.
class ObjectWriter
{
public:
    ObjectWriter() : _writer(_buffer) { _writer.StartObject(); }

    JsonWriter& key(const char* name)
    {
        _writer.Key(name);
        return _writer;
    }

    JsonWriter& raw() { return _writer; }

    void text(const char* name, std::string_view value) { putText(key(name), value); }
    void number(const char* name, std::int64_t value) { key(name).Int64(value); }

    void number(const char* name, const std::optional<std::int64_t>& value)
    {
        if (value)
            number(name, *value);
    }

    void texts(const char* name, const std::vector<std::string>& values)
    {
        key(name).StartArray();
        for (const std::string& value : values)
            putText(_writer, value);
        _writer.EndArray();
    }

    std::string finish()
    {
        _writer.EndObject();
        return {_buffer.GetString(), _buffer.GetSize()};
    }

    static void putText(JsonWriter& writer, std::string_view value)
    {
        writer.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
    }

private:
    rapidjson::StringBuffer _buffer;
    JsonWriter _writer;
};

/// Thrown by ObjectReader and caught in Order.cpp: the text of `why`.
struct BadFile: std::runtime_error
{
    using std::runtime_error::runtime_error;
};

class ObjectReader
{
public:
    explicit ObjectReader(const rapidjson::Value& object) : _object(object)
    {
        if (!object.IsObject())
            throw BadFile("is no JSON object");
    }

    [[nodiscard]] const rapidjson::Value* find(const char* name) const
    {
        const auto member = _object.FindMember(name);
        return member == _object.MemberEnd() ? nullptr : &member->value;
    }

    [[nodiscard]] const rapidjson::Value& get(const char* name) const
    {
        const rapidjson::Value* value = find(name);
        if (value == nullptr)
            throw BadFile("lacks '" + std::string(name) + "'");
        return *value;
    }

    [[nodiscard]] std::string text(const char* name) const { return asText(get(name), name); }

    [[nodiscard]] std::int64_t number(const char* name) const { return asNumber(get(name), name); }

    [[nodiscard]] int small(const char* name) const
    {
        const std::int64_t value = number(name);
        if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max())
            throw BadFile("has '" + std::string(name) + "' out of range");
        return static_cast<int>(value);
    }

    [[nodiscard]] std::uint64_t natural(const char* name) const
    {
        const rapidjson::Value& value = get(name);
        if (!value.IsUint64())
            throw BadFile("has '" + std::string(name) + "' that is no natural number");
        return value.GetUint64();
    }

    [[nodiscard]] std::optional<std::int64_t> optionalNumber(const char* name) const
    {
        const rapidjson::Value* value = find(name);
        if (value == nullptr)
            return std::nullopt;
        return asNumber(*value, name);
    }

    [[nodiscard]] std::optional<int> optionalSmall(const char* name) const
    {
        return find(name) == nullptr ? std::nullopt : std::optional<int>(small(name));
    }

    [[nodiscard]] bool boolean(const char* name) const
    {
        const rapidjson::Value& value = get(name);
        if (!value.IsBool())
            throw BadFile("has '" + std::string(name) + "' that is neither true nor false");
        return value.GetBool();
    }

    /// False where it is not there.
    [[nodiscard]] bool flag(const char* name) const
    {
        return find(name) != nullptr && boolean(name);
    }

    [[nodiscard]] std::vector<std::string> texts(const char* name) const
    {
        const rapidjson::Value& value = get(name);
        if (!value.IsArray())
            throw BadFile("has '" + std::string(name) + "' that is no list");
        std::vector<std::string> result;
        for (const rapidjson::Value& element : value.GetArray())
            result.push_back(asText(element, name));
        return result;
    }

    [[nodiscard]] Cause cause(const std::string& text) const
    {
        const std::optional<Cause> value = causeFrom(text);
        if (!value)
            throw BadFile("has the unknown cause '" + text + "'");
        return *value;
    }

    static std::string asText(const rapidjson::Value& value, const char* name)
    {
        if (!value.IsString())
            throw BadFile("has '" + std::string(name) + "' that is no text");
        std::string text(value.GetString(), value.GetStringLength());
        // argv and environment could only pass on what stands before it.
        if (text.find('\0') != std::string::npos)
            throw BadFile("has '" + std::string(name) + "' with a NUL in it");
        return text;
    }

private:
    static std::int64_t asNumber(const rapidjson::Value& value, const char* name)
    {
        if (!value.IsInt64())
            throw BadFile("has '" + std::string(name) + "' that is no whole number");
        return value.GetInt64();
    }

    const rapidjson::Value& _object;
};

} // namespace agent
