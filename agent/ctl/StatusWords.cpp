#include "agent/ctl/StatusWords.h"

#include <Poco/String.h>
#include <Poco/StringTokenizer.h>

#include <array>
#include <utility>

namespace agent::ctl
{

namespace
{

// As in agent/dashboard/words.js.
constexpr std::array<std::pair<Status, const char*>, 5> words{
    {{Status::Idle, "Waiting"},
     {Status::InProgress, "Running"},
     {Status::AwaitingApproval, "Needs approval"},
     {Status::Success, "Success"},
     {Status::Failure, "Failed"}}};

/// Returns the text in upper case, with `_` between words.
std::string spelled(std::string_view text)
{
    return Poco::translate(Poco::toUpper(Poco::trim(std::string(text))), "- ", "__");
}

} // namespace

std::string statusWords(std::string_view status)
{
    if (status == "IDLE (not run)")
        return "Not run";
    if (status == "IDLE (skipped)")
        return "Skipped";
    const std::string_view name = status.substr(0, status.find(" ("));
    if (const auto known = statusFrom(name))
        for (const auto& [each, word] : words)
            if (each == *known)
                return std::string(word).append(status.substr(name.size()));
    return std::string(status);
}

std::optional<Status> statusNamed(std::string_view text)
{
    const std::string name = spelled(text.substr(0, text.find(" (")));
    for (const auto& [each, word] : words)
        if (spelled(word) == name)
            return each;
    return name == "NOT_RUN" ? Status::Idle : statusFrom(name);
}

std::optional<std::vector<std::string>> statusesNamed(const std::string& text)
{
    std::vector<std::string> statuses;
    for (const std::string& each :
         Poco::StringTokenizer(text, ",", Poco::StringTokenizer::TOK_TRIM))
    {
        const auto status = statusNamed(each);
        if (!status)
            return std::nullopt;
        statuses.emplace_back(toString(*status));
    }
    return statuses;
}

} // namespace agent::ctl
