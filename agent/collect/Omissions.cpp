#include "agent/collect/Omissions.h"

#include "agent/model/Characters.h"

namespace agent
{

namespace
{

constexpr std::size_t mostNamed = 3;
constexpr std::size_t longestName = 100;

std::string shown(const std::string& text)
{
    return visible(shortened(text, longestName));
}

} // namespace

void Omissions::add(const std::string& path, const std::string& why)
{
    if (++_count <= mostNamed)
        _named.push_back(shown(path) + " (" + why + ')');
}

void Omissions::addUnmatched(const std::vector<std::string>& patterns, const std::string& what)
{
    if (patterns.empty())
        return;
    _unmatched += _unmatched.empty() ? "" : "; ";
    _unmatched.append("no ").append(what).append(" matches ");
    for (std::size_t i = 0; i < patterns.size() && i < mostNamed; ++i)
        _unmatched.append(i > 0 ? ", '" : "'").append(shown(patterns[i])).append("'");
    if (patterns.size() > mostNamed)
        _unmatched += " and " + std::to_string(patterns.size() - mostNamed) + " patterns more";
}

std::string Omissions::text() const
{
    std::string text;
    for (const std::string& one : _named)
        text.append(text.empty() ? "not kept: " : ", ").append(one);
    if (_count > mostNamed)
        text += " and " + std::to_string(_count - mostNamed) + " more";
    if (!_unmatched.empty())
        text.append(text.empty() ? "" : "; ").append(_unmatched);
    return text;
}

} // namespace agent
