#include "plugins/git/Filter.h"

#include "plugins/git/Git.h"
#include "plugins/git/Program.h"

#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

namespace agent::git
{

namespace
{

constexpr std::string_view limit = "blob:limit=";
constexpr std::uint64_t largest = std::uint64_t{1} << 50; // far above any file

/// Returns the bytes that `512`, `10k`, `10M` or `1g` says. Source: git-rev-list(1), --filter.
std::optional<std::uint64_t> bytesOf(std::string_view text)
{
    static const std::map<char, int> shifts{{'k', 10}, {'K', 10}, {'m', 20},
                                            {'M', 20}, {'g', 30}, {'G', 30}};
    int shift = 0;
    if (const auto unit = shifts.find(text.empty() ? '\0' : text.back()); unit != shifts.end())
    {
        shift = unit->second;
        text.remove_suffix(1);
    }
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number > largest >> shift)
        return std::nullopt;
    return number << shift;
}

} // namespace

Filter Filter::parse(const std::string& text)
{
    Filter filter;
    if (text == "blob:none")
        filter._specification = text;
    else if (!text.empty())
    {
        const auto bytes = text.starts_with(limit)
                               ? bytesOf(std::string_view(text).substr(limit.size()))
                               : std::nullopt;
        if (!bytes)
            throw Failure("git: filter must be blob:none or blob:limit=SIZE (bytes, or with k, m "
                          "or g), and is " +
                          printable(text));
        filter._specification = limit;
        filter._specification += std::to_string(*bytes);
    }
    return filter;
}

} // namespace agent::git
