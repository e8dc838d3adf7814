#include "agent/run/PipelineValues.h"

#include "agent/run/PipelineKeys.h"

#include <charconv>
#include <cmath>

namespace agent
{

const std::vector<std::string_view>& stageTypeNames()
{
    static const std::vector<std::string_view> names = []
    {
        std::vector<std::string_view> all;
        for (const StageType type : allStageTypes)
            all.push_back(toString(type));
        return all;
    }();
    return names;
}

std::string joined(const std::vector<std::string_view>& words)
{
    std::string text;
    for (const std::string_view word : words)
        text += (text.empty() ? "" : ", ") + std::string(word);
    return text;
}

std::optional<std::int64_t> duration(const DocumentValue& value, std::int64_t least)
{
    const auto text = value.text();
    if (!text)
        return std::nullopt;
    const auto ms = parseDurationMs(*text);
    if (!ms)
        value.expected("a duration such as 500ms, 30s, 10m or 2h");
    else if (*ms < least)
        value.problem("must be longer than 0");
    else
        return ms;
    return std::nullopt;
}

std::optional<std::int64_t> cpuPercent(const DocumentValue& value)
{
    const auto text = value.text();
    if (!text)
        return std::nullopt;
    const bool percent = text->ends_with('%');
    const char* const end = text->data() + text->size() - (percent ? 1 : 0);
    double number = 0;
    const auto [rest, error] = std::from_chars(text->data(), end, number, std::chars_format::fixed);
    const double result = percent ? number : number * 100;
    if (error != std::errc{} || rest != end || !std::isfinite(result) || std::lround(result) < 1 ||
        result > static_cast<double>(pipelineBounds::cpuPercent))
    {
        value.expected("a number of cores such as 1.5, or a share of one such as 150%, up to " +
                       std::to_string(pipelineBounds::cpuPercent / 100) + " cores");
        return std::nullopt;
    }
    return std::lround(result);
}

} // namespace agent
