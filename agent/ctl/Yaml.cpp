#include "agent/ctl/Yaml.h"

#include "agent/ctl/Json.h"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <array>
#include <strings.h>

namespace agent::ctl
{

namespace
{

// Deeper values are written in flow style, which is their JSON: no answer of an agent is that deep.
constexpr std::size_t deepest = 32;

/// Whether a plain scalar of this text is read back as this string by every version of YAML.
bool isPlain(const std::string& text)
{
    constexpr std::array<const char*, 9> words{"true", "false", "null", "yes", "no",
                                               "on",   "off",   "y",    "n"};
    constexpr const char* safe =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
    const bool letter = !text.empty() && ((text.front() >= 'a' && text.front() <= 'z') ||
                                          (text.front() >= 'A' && text.front() <= 'Z'));
    return letter && text.find_first_not_of(safe) == std::string::npos &&
           std::none_of(words.begin(), words.end(),
                        [&](const char* word) { return strcasecmp(text.c_str(), word) == 0; });
}

/// Returns the value as JSON, which is YAML in flow style.
std::string flow(const rapidjson::Value& value)
{
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    value.Accept(writer);
    return {buffer.GetString(), buffer.GetSize()};
}

std::string scalar(const rapidjson::Value& value)
{
    if (value.IsNull())
        return "null";
    if (!value.IsString())
        return flow(value);
    const std::string text = asText(value);
    return isPlain(text) ? text : quoted(text); // YAML reads JSON's strings
}

bool isBlock(const rapidjson::Value& value)
{
    return (value.IsObject() && value.MemberCount() > 0) || (value.IsArray() && !value.Empty());
}

void write(const rapidjson::Value& value, std::size_t depth, bool inItem, std::string& out);

/// Writes what stands behind `key:` or `-`.
void writeBehind(const rapidjson::Value& value, std::size_t depth, bool item, std::string& out)
{
    if (!isBlock(value) || depth >= deepest)
    {
        out.append(" ").append(isBlock(value) ? flow(value) : scalar(value)).append("\n");
        return;
    }
    out += item ? " " : "\n";
    write(value, depth, item, out);
}

/// `inItem`: the first line continues the one that begins with `-`.
void write(const rapidjson::Value& value, std::size_t depth, bool inItem, std::string& out)
{
    const std::string indent(2 * depth, ' ');
    bool first = inItem;
    if (value.IsObject())
        for (const auto& entry : value.GetObject())
        {
            out.append(first ? "" : indent).append(scalar(entry.name)).append(":");
            writeBehind(entry.value, depth + 1, false, out);
            first = false;
        }
    else
        for (const rapidjson::Value& entry : value.GetArray())
        {
            out.append(first ? "" : indent).append("-");
            writeBehind(entry, depth + 1, true, out);
            first = false;
        }
}

} // namespace

std::string yamlOf(const std::string& json)
{
    rapidjson::Document document;
    if (!parseJson(json, document))
        return json;
    std::string out;
    if (isBlock(document))
        write(document, 0, false, out);
    else
        out = scalar(document) + "\n";
    return out;
}

} // namespace agent::ctl
