#include "agent/model/FilePatterns.h"

#include <algorithm>

namespace agent
{

namespace
{

constexpr std::string_view anyFolders = "**";

/// `pattern` has no slash.
bool fits(std::string_view pattern, std::string_view name)
{
    std::size_t p = 0;
    std::size_t n = 0;
    std::size_t star = std::string_view::npos; // the last one, which may take a character more
    std::size_t taken = 0;
    while (n < name.size())
    {
        if (p < pattern.size() && pattern[p] == '*')
        {
            star = p++;
            taken = n;
        }
        else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n]))
        {
            ++p;
            ++n;
        }
        else if (star != std::string_view::npos)
        {
            p = star + 1;
            n = ++taken;
        }
        else
            return false;
    }
    while (p < pattern.size() && pattern[p] == '*')
        ++p;
    return p == pattern.size();
}

} // namespace

FilePatterns::FilePatterns(const std::vector<std::string>& patterns)
{
    for (const std::string& pattern : patterns)
    {
        std::vector<std::string>& parts = _patterns.emplace_back();
        for (std::size_t begin = 0; begin <= pattern.size();)
        {
            const std::size_t end = std::min(pattern.find('/', begin), pattern.size());
            const std::string part = pattern.substr(begin, end - begin);
            // Two of them are no more than one.
            if (!part.empty() && part != "." &&
                !(part == anyFolders && !parts.empty() && parts.back() == anyFolders))
                parts.push_back(part);
            begin = end + 1;
        }
    }
}

void FilePatterns::reach(Way& way, std::size_t pattern, std::size_t part) const
{
    const auto& parts = _patterns[pattern];
    if (part == parts.size())
    {
        if (std::find(way._matched.begin(), way._matched.end(), pattern) == way._matched.end())
            way._matched.push_back(pattern);
        return;
    }
    const std::pair place{pattern, part};
    if (std::find(way._places.begin(), way._places.end(), place) != way._places.end())
        return;
    way._places.push_back(place);
    if (parts[part] == anyFolders)
        reach(way, pattern, part + 1);
}

FilePatterns::Way FilePatterns::begin() const
{
    Way way;
    for (std::size_t pattern = 0; pattern < _patterns.size(); ++pattern)
        reach(way, pattern, 0);
    return way;
}

FilePatterns::Way FilePatterns::next(const Way& way, std::string_view name) const
{
    Way below;
    below._matched = way._matched;
    for (const auto& [pattern, part] : way._places)
    {
        const std::string& expected = _patterns[pattern][part];
        if (expected == anyFolders)
            reach(below, pattern, part);
        else if (fits(expected, name))
            reach(below, pattern, part + 1);
    }
    return below;
}

} // namespace agent
