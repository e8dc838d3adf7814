#include "agent/model/Suggestion.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <numeric>
#include <utility>

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

/// What other tools call it, and what it is called here, in the order of preference.
constexpr std::array<std::pair<std::string_view, std::string_view>, 45> synonyms{{
    {"repo", "repository"},
    {"url", "repository"},
    {"git", "repository"},
    {"remote", "repository"},
    {"cmd", "command"},
    {"script", "command"},
    {"run", "command"},
    {"commands", "command"},
    {"ref", "branch"},
    {"variables", "env"},
    {"vars", "env"},
    {"environment", "env"},
    {"envs", "env"},
    {"secret", "secrets"},
    {"steps", "stages"},
    {"jobs", "stages"},
    {"pipeline", "stages"},
    {"tasks", "stages"},
    {"uses", "plugin"},
    {"task", "plugin"},
    {"settings", "with"},
    {"args", "with"},
    {"params", "with"},
    {"inputs", "with"},
    {"options", "with"},
    {"retries", "retry"},
    {"max_attempts", "attempts"},
    {"max", "attempts"},
    {"parallel", "concurrency"},
    {"max_parallel", "concurrency"},
    {"timeout_seconds", "timeout"},
    {"timeout_minutes", "timeout"},
    {"manual", "approval"},
    {"outputs", "artifacts"},
    {"paths", "artifacts"},
    {"expire_in", "keep"},
    {"title", "name"},
    {"label", "name"},
    {"test", "UNIT_TEST"},
    {"tests", "UNIT_TEST"},
    {"lint", "CODE_QUALITY"},
    {"checkout", "PREPARE"},
    {"compile", "BUILD"},
    {"e2e", "INTEGRATION_TEST"},
    {"deploy", "DEPLOY_PROD"},
}};

/// What has no key here, and what is done instead.
constexpr std::array<std::pair<std::string_view, std::string_view>, 17> elsewhere{{
    {"cmd", "a command stands in with: {command: …}, of the plugin shell"},
    {"script", "a command stands in with: {command: …}, of the plugin shell"},
    {"run", "a command stands in with: {command: …}, of the plugin shell"},
    {"command", "a command stands in with: {command: …}, of the plugin shell"},
    {"commands", "a command stands in with: {command: …}, of the plugin shell"},
    {"needs", "stages run in the order in which they are listed"},
    {"depends_on", "stages run in the order in which they are listed"},
    {"dependencies", "stages run in the order in which they are listed"},
    {"after", "stages run in the order in which they are listed"},
    {"only", "a stage has no conditions; another service may have other stages"},
    {"except", "a stage has no conditions; another service may have other stages"},
    {"when", "a stage has no conditions; another service may have other stages"},
    {"if", "a stage has no conditions; another service may have other stages"},
    {"rules", "a stage has no conditions; another service may have other stages"},
    {"image", "stages run on this host, without containers"},
    {"container", "stages run on this host, without containers"},
    {"cache", "put what is to be kept between runs outside of the workspace"},
}};

} // namespace

std::string suggestion(std::string_view given, const std::vector<std::string_view>& known)
{
    const std::string small = lower(given);
    for (const auto& [word, here] : synonyms)
        if (word == small && std::find(known.begin(), known.end(), here) != known.end())
            return ", did you mean '" + std::string(here) + "'?";
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
    if (!best.empty())
        return ", did you mean '" + std::string(best) + "'?";
    // Only where keys are asked for: `plugin` is one of a stage.
    if (std::find(known.begin(), known.end(), "plugin") != known.end())
        for (const auto& [word, instead] : elsewhere)
            if (word == small)
                return ": " + std::string(instead);
    return "";
}

} // namespace agent
