#include "agent/reports/TestReports.h"

#include "agent/model/Characters.h"
#include "agent/model/Utf8.h"
#include "agent/reports/JUnitReport.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace agent
{

namespace
{

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

// Texts of a report, in bytes.
constexpr std::size_t nameLimit = 512;
constexpr std::size_t messageLimit = 4'096;
constexpr std::size_t detailsLimit = 16'384;

constexpr std::size_t mostRefused = 100;

// json() but for the lists' elements.
constexpr std::size_t frameBytes = 1'024;

/// A text as it is kept: valid UTF-8, cut where it is too long.
void put(Writer& out, const char* key, const std::string& text, std::size_t limit)
{
    out.Key(key);
    // validUtf8() may make it three times as long.
    out.String(shortened(validUtf8(std::string_view(text).substr(0, limit + 8)), limit));
}

void put(Writer& out, const char* key, std::int64_t number)
{
    out.Key(key);
    out.Int64(number);
}

std::string jsonOf(const FailedTest& test, bool withDetails)
{
    rapidjson::StringBuffer buffer;
    Writer out(buffer);
    out.StartObject();
    put(out, "kind", test.error ? "error" : "failure", nameLimit);
    put(out, "suite", test.suite, nameLimit);
    put(out, "class", test.className, nameLimit);
    put(out, "name", test.name, nameLimit);
    put(out, "file", test.file, nameLimit);
    put(out, "line", test.line);
    put(out, "durationMs", test.durationMs);
    put(out, "message", test.message, messageLimit);
    put(out, "details", withDetails ? test.details : "", detailsLimit);
    out.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

std::string refusedJson(std::string_view file, std::string_view why)
{
    rapidjson::StringBuffer buffer;
    Writer out(buffer);
    out.StartObject();
    put(out, "file", std::string(file), nameLimit);
    put(out, "why", std::string(why), nameLimit);
    out.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

bool isCut(const FailedTest& test)
{
    return test.message.size() > messageLimit || test.details.size() > detailsLimit;
}

std::string listOf(const std::vector<std::string>& elements)
{
    std::string list = "[";
    for (const auto& element : elements)
        list.append(list.size() > 1 ? "," : "").append(element);
    return list + "]";
}

} // namespace

void TestCounts::add(const TestCounts& other)
{
    total += other.total;
    failed += other.failed;
    skipped += other.skipped;
    durationMs = std::min(durationMs + other.durationMs, longestMs);
}

std::string TestReports::add(std::string_view file, std::string bytes)
{
    // Nothing of a report counts that is refused in its middle.
    TestCounts counts;
    std::vector<std::string> failures;
    std::size_t kept = _kept;
    bool truncated = false;
    const auto keep = [&](const FailedTest& test)
    {
        truncated = truncated || isCut(test);
        for (const bool withDetails : {true, false})
        {
            std::string json = jsonOf(test, withDetails);
            if (_failures.size() + failures.size() < mostFailures &&
                kept + json.size() + frameBytes <= jsonLimit)
            {
                kept += json.size() + 1;
                failures.push_back(std::move(json));
                return;
            }
            truncated = true;
        }
    };
    if (const auto why = readJUnitReport(std::move(bytes), counts, keep); !why.empty())
    {
        refuse(file, why);
        return why;
    }
    ++_files;
    _counts.add(counts);
    std::move(failures.begin(), failures.end(), std::back_inserter(_failures));
    _kept = kept;
    _truncated = _truncated || truncated;
    return "";
}

void TestReports::refuse(std::string_view file, std::string_view why)
{
    std::string json = refusedJson(file, why);
    if (_refused.size() == mostRefused || _kept + json.size() + frameBytes > jsonLimit)
    {
        _refusedMore = true;
        return;
    }
    _kept += json.size() + 1;
    _refused.push_back(std::move(json));
}

std::string TestReports::json() const
{
    std::string text = R"({"version":1)";
    for (const auto& [key, value] : {std::pair("total", _counts.total),
                                     {"failed", _counts.failed},
                                     {"skipped", _counts.skipped},
                                     {"durationMs", _counts.durationMs},
                                     {"files", _files}})
        text.append(",\"").append(key).append("\":").append(std::to_string(value));
    text.append(",\"refused\":").append(listOf(_refused));
    text.append(",\"failures\":").append(listOf(_failures));
    text.append(",\"truncated\":").append(_truncated || _refusedMore ? "true" : "false");
    return text + "}";
}

} // namespace agent
