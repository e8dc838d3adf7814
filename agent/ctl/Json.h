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

/// Parses JSON of any depth without recursion. Returns false if it is malformed or truncated.
bool parseJson(std::string_view text, rapidjson::Document& document);

/// Returns the answer's JSON. Errors: Failure AgentFailed if it is not JSON.
rapidjson::Document jsonOf(const Answer& answer);

/// As jsonOf; anything but an array of objects is AgentFailed.
rapidjson::Document listOf(const Answer& answer);

/// As jsonOf; anything but an object is AgentFailed.
rapidjson::Document objectOf(const Answer& answer);

/// Returns a member of an object; nullptr if `object` is not an object or lacks it.
const rapidjson::Value* member(const rapidjson::Value& object, const char* key);

/// Returns a value for display: strings without quotes, null as empty, a list of strings separated by
/// commas, other lists and objects as their size.
std::string asText(const rapidjson::Value& value);

/// Returns asText of a member; empty if absent.
std::string text(const rapidjson::Value& object, const char* key);

/// Returns an integer member; nullopt if absent or anything else.
std::optional<std::int64_t> number(const rapidjson::Value& object, const char* key);

/// Returns a JSON string with its quotes.
std::string quoted(const std::string& text);

/// Returns the text of each top-level object: the entries of a list, or the single object.
std::vector<std::string_view> objectsIn(std::string_view json);

/// Returns an object's text with one more member in front, otherwise unchanged.
std::string withMember(std::string_view object, const std::string& key, const std::string& json);

/// Writes an object of strings, numbers and raw JSON, in the order of the calls.
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
