#include "agent/model/BreakFilter.h"

#include <array>
#include <cstring>

namespace agent
{

namespace
{

constexpr std::size_t splitSize = sizeof(std::uint32_t);

} // namespace

void BreakFilter::add(std::string_view pattern, std::size_t most, std::size_t known)
{
    for (std::size_t at = 1; at <= most && at < pattern.size(); ++at)
    {
        const std::string_view before = pattern.substr(0, at);
        if (at + splitSize > known)
            keep(before, pattern.substr(at));
        // Between digits that blanks separate, a break stands for a blank (WrappedText::Kind::Blank).
        if (pattern[at] == ' ' && at + 1 < pattern.size() && at + 1 + splitSize > known)
            keep(before, pattern.substr(at + 1));
    }
}

void BreakFilter::keep(std::string_view before, std::string_view behind)
{
    const std::size_t first = behind.size() >= 3 ? 1 : 3;
    if (before.size() < first || behind.empty())
    {
        _any = true;
        return;
    }
    std::array<char, splitSize> bytes;
    std::memcpy(bytes.data(), before.data() + before.size() - first, first);
    std::memcpy(bytes.data() + first, behind.data(), splitSize - first);
    _splits.emplace_back(GramBytes<splitSize>(bytes.data()).low, static_cast<std::uint32_t>(first));
    if (_table.reserve(_splits.size()))
        for (const Split& split : _splits)
            _table.add(split);
    else
        _table.add(_splits.back());
}

} // namespace agent
