#include "agent/ctl/Usage.h"

#include "agent/ctl/Text.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace agent::ctl
{

namespace
{

using Words = std::vector<std::string>;

/// How many letters must be put in, taken out or replaced to make one word of the other.
std::size_t distance(const std::string& one, const std::string& other)
{
    std::vector<std::size_t> row(other.size() + 1); // to each beginning of `other`
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < one.size(); ++i)
    {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 0; j < other.size(); ++j)
        {
            const std::size_t replaced = diagonal + (one[i] == other[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

/// `; did you mean X?`, or nothing where no known word is near.
std::string suggestion(const std::string& word, const Words& known)
{
    std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
    std::string meant;
    for (const std::string& each : known)
        if (const std::size_t far = distance(word, each); far < least)
        {
            least = far;
            meant = each;
        }
    return meant.empty() ? "" : "; did you mean " + meant + "?";
}

Words verbsOf(const CLI::App& app)
{
    Words verbs;
    for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
        verbs.push_back(verb->get_name());
    return verbs;
}

void addOptions(const CLI::App& app, Words& to)
{
    for (const CLI::Option* option : app.get_options())
        for (const std::string& name : option->get_lnames())
            to.push_back("--" + name);
}

} // namespace

std::string wrongUsage(const CLI::App& app, const CLI::ParseError& error)
{
    const auto parsed = app.get_subcommands();
    const std::string verb = parsed.empty() ? "" : parsed.front()->get_name() + " ";
    const std::string see = "\nsee: stagectl " + verb + "--help";
    // CLI11 reports what is missing before it looks at what it could not place.
    const int code = error.get_exit_code();
    const bool missing = code == static_cast<int>(CLI::ExitCodes::RequiredError);
    const Words left = app.remaining(true);
    const bool unplaced = missing || code == static_cast<int>(CLI::ExitCodes::ExtrasError);
    const auto option = std::find_if(left.begin(), left.end(),
                                     [](const std::string& word)
                                     { return word.size() > 1 && word.front() == '-'; });
    if (unplaced && verb.empty() && !left.empty() && left.begin() != option)
        return "there is no verb '" + visible(left.front()) + "'" +
               suggestion(left.front(), verbsOf(app)) + see;
    if (unplaced && option != left.end())
    {
        Words known;
        addOptions(app, known);
        if (!parsed.empty())
            addOptions(*parsed.front(), known);
        const std::string name = option->substr(0, option->find('='));
        return verb + (verb.empty() ? "there is" : "has") + " no option '" + visible(name) + "'" +
               suggestion(name, known) + see;
    }
    if (missing && verb.empty())
        return "say what to do: a verb is missing" + see;
    return error.what() + see;
}

} // namespace agent::ctl
