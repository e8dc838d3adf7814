#pragma once

#include <rapidjson/document.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agent::ctl
{

struct Answer;

/// Reads JSON of any depth without recursion. Shape: false when it is malformed or cut off.
bool parseJson(std::string_view text, rapidjson::Document& document);

/// The answer's JSON. Errors: Failure AgentFailed when it is none.
rapidjson::Document jsonOf(const Answer& answer);

/// As jsonOf, when it must be an array of objects (other entries: AgentFailed too).
rapidjson::Document listOf(const Answer& answer);

/// As jsonOf, when it must be an object.
rapidjson::Document objectOf(const Answer& answer);

/// A member of an object; nullptr when `object` is none or lacks it.
const rapidjson::Value* member(const rapidjson::Value& object, const char* key);

/// A value as a person reads it: strings bare, null empty, a list of strings as its words, other lists
/// and objects by their size.
std::string asText(const rapidjson::Value& value);

/// asText of a member; empty when absent.
std::string text(const rapidjson::Value& object, const char* key);

/// A whole number; nothing when absent, null or no number.
std::optional<std::int64_t> number(const rapidjson::Value& object, const char* key);

/// A JSON string with its quotes.
std::string quoted(const std::string& text);

/// The outermost objects of a JSON text as they are written: a list's entries, or the text's one object.
std::vector<std::string_view> objectsIn(std::string_view json);

/// An object's text with a member more in front; all else stays as it is written.
std::string withMember(std::string_view object, const std::string& key, const std::string& json);

/// Writes one object of strings, numbers and ready JSON, in the order given.
class ObjectWriter
{
public:
    ObjectWriter& add(const std::string& key, const std::string& value);
    ObjectWriter& addNumber(const std::string& key, std::int64_t value);
    ObjectWriter& addJson(const std::string& key, std::string_view json);
    [[nodiscard]] std::string done() const { return "{" + _members + "}"; }

private:
    std::string _members;
};

} // namespace agent::ctl
