#pragma once

#include "agent/document/DocumentValue.h"
#include "agent/model/Suggestion.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Values of a pipeline that several keys have. What is wrong is reported at the value.
namespace agent
{

/// The names of all types of stages.
const std::vector<std::string_view>& stageTypeNames();

/// `a, b, c`
std::string joined(const std::vector<std::string_view>& words);

/// One of a few words, as `from` reads them.
template <typename From>
auto oneOf(const DocumentValue& value, From from, const std::vector<std::string_view>& known)
{
    const auto text = value.text();
    const auto found = text ? from(*text) : decltype(from(*text)){};
    if (text && !found)
        value.expected("one of " + joined(known), suggestion(*text, known));
    return found;
}

/// A length of time of at least `least` ms.
std::optional<std::int64_t> duration(const DocumentValue& value, std::int64_t least);

/// `150%`, or a number of cores such as 1.5.
std::optional<std::int64_t> cpuPercent(const DocumentValue& value);

} // namespace agent
