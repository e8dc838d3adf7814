#include "agent/ctl/Json.h"

#include "agent/ctl/Client.h"
#include "agent/ctl/Failure.h"
#include "agent/ctl/Text.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cmath>

namespace agent::ctl
{

namespace
{

[[noreturn]] void refuseForeign(const Answer& answer, const std::string& what)
{
    throw Failure(
        Exit::AgentFailed,
        "the answer is " + what + " (" + std::to_string(answer.status) + ", " +
            (answer.contentType.empty() ? "no content type" : visible(answer.contentType)) +
            "): check that the address is that of a stage-agent");
}

} // namespace

bool parseJson(std::string_view text, rapidjson::Document& document)
{
    document.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
    return !document.HasParseError();
}

rapidjson::Document jsonOf(const Answer& answer)
{
    rapidjson::Document document;
    if (!parseJson(answer.body, document))
        refuseForeign(answer, "not JSON");
    return document;
}

rapidjson::Document listOf(const Answer& answer)
{
    rapidjson::Document document = jsonOf(answer);
    if (!document.IsArray())
        refuseForeign(answer, "not a list");
    for (const rapidjson::Value& entry : document.GetArray())
        if (!entry.IsObject())
            refuseForeign(answer, "not a list of objects");
    return document;
}

rapidjson::Document objectOf(const Answer& answer)
{
    rapidjson::Document document = jsonOf(answer);
    if (!document.IsObject())
        refuseForeign(answer, "not an object");
    return document;
}

const rapidjson::Value* member(const rapidjson::Value& object, const char* key)
{
    if (!object.IsObject())
        return nullptr;
    const auto found = object.FindMember(key);
    return found == object.MemberEnd() ? nullptr : &found->value;
}

std::string asText(const rapidjson::Value& value)
{
    if (value.IsString())
        return {value.GetString(), value.GetStringLength()};
    if (value.IsBool())
        return value.GetBool() ? "true" : "false";
    if (value.IsInt64())
        return std::to_string(value.GetInt64());
    if (value.IsNumber())
    {
        rapidjson::StringBuffer buffer;
        rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
        value.Accept(writer);
        return {buffer.GetString(), buffer.GetSize()};
    }
    if (value.IsArray() && value.Empty())
        return "none";
    if (value.IsArray() &&
        std::all_of(value.Begin(), value.End(),
                    [](const rapidjson::Value& each) { return each.IsString(); }))
    {
        std::string words;
        for (const rapidjson::Value& each : value.GetArray())
            words += (words.empty() ? "" : ", ") + asText(each);
        return words;
    }
    if (value.IsArray())
        return std::to_string(value.Size()) + (value.Size() == 1 ? " entry" : " entries");
    if (value.IsObject())
        return std::to_string(value.MemberCount()) +
               (value.MemberCount() == 1 ? " entry" : " entries");
    return "";
}

std::string text(const rapidjson::Value& object, const char* key)
{
    const rapidjson::Value* value = member(object, key);
    return value == nullptr ? "" : asText(*value);
}

std::optional<std::int64_t> number(const rapidjson::Value& object, const char* key)
{
    const rapidjson::Value* value = member(object, key);
    if (value == nullptr || !value->IsInt64())
        return std::nullopt;
    return value->GetInt64();
}

std::string quoted(const std::string& text)
{
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    writer.String(text);
    return {buffer.GetString(), buffer.GetSize()};
}

std::vector<std::string_view> objectsIn(std::string_view json)
{
    std::vector<std::string_view> objects;
    std::size_t depth = 0;
    std::size_t begin = 0;
    bool inString = false;
    for (std::size_t i = 0; i < json.size(); ++i)
    {
        if (inString && json[i] == '\\')
            ++i;
        else if (json[i] == '"')
            inString = !inString;
        else if (!inString && json[i] == '{' && depth++ == 0)
            begin = i;
        else if (!inString && json[i] == '}' && --depth == 0)
            objects.push_back(json.substr(begin, i + 1 - begin));
    }
    return objects;
}

std::string withMember(std::string_view object, const std::string& key, const std::string& json)
{
    const std::string_view rest = object.substr(1);
    const bool empty = rest[rest.find_first_not_of(" \t\r\n")] == '}';
    return "{" + quoted(key) + ":" + json + (empty ? "" : ",") + std::string(rest);
}

ObjectWriter& ObjectWriter::add(const std::string& key, const std::string& value)
{
    return addJson(key, quoted(value));
}

ObjectWriter& ObjectWriter::addNumber(const std::string& key, std::int64_t value)
{
    return addJson(key, std::to_string(value));
}

ObjectWriter& ObjectWriter::addJson(const std::string& key, std::string_view json)
{
    _members.append(_members.empty() ? "" : ",").append(quoted(key)).append(":").append(json);
    return *this;
}

} // namespace agent::ctl
