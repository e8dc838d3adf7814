#include "agent/store/LogSearch.h"

#include <algorithm>

namespace agent
{

namespace
{

char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Returns the end of the control sequence at `at`. Source: ECMA-48, 5.4.
std::size_t sequenceEnd(std::string_view line, std::size_t at)
{
    if (at + 1 >= line.size() || line[at + 1] != '[')
        return at + 1;
    at += 2;
    while (at < line.size() && line[at] >= 0x20 && line[at] < 0x40)
        ++at;
    return std::min(at + 1, line.size());
}

} // namespace

LogSearch::LogSearch(std::string_view text) : _text(text)
{
    std::transform(_text.begin(), _text.end(), _text.begin(), lower);
}

bool LogSearch::finds(std::string_view line)
{
    if (_text.empty())
        return true;
    _shown.clear();
    for (std::size_t at = 0; at < line.size();)
    {
        if (line[at] == '\x1b')
        {
            at = sequenceEnd(line, at);
            continue;
        }
        _shown += lower(line[at++]);
    }
    return _shown.find(_text) != std::string::npos;
}

} // namespace agent
