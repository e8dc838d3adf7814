#include "agent/model/Suggestion.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace agent
{

namespace
{

std::string lower(std::string_view text)
{
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

/// Returns the Levenshtein distance.
std::size_t distance(const std::string& a, const std::string& b)
{
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i)
    {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j)
        {
            const std::size_t change = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, change});
        }
    }
    return row[b.size()];
}

} // namespace

std::string suggestion(std::string_view given, const std::vector<std::string_view>& known)
{
    constexpr std::size_t near = 2;
    std::string_view best;
    std::size_t least = near + 1;
    for (const std::string_view candidate : known)
    {
        if (given.size() > candidate.size() + near || candidate.size() > given.size() + near)
            continue;
        const std::size_t slips = distance(lower(given), lower(candidate));
        // Every word is within two edits of a word of two letters.
        if (slips < least && slips < candidate.size())
        {
            least = slips;
            best = candidate;
        }
    }
    return best.empty() ? "" : ", did you mean '" + std::string(best) + "'?";
}

} // namespace agent
