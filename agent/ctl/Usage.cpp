#include "agent/ctl/Usage.h"

#include "agent/ctl/Text.h"
#include "agent/model/Suggestion.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <vector>

namespace agent::ctl
{

namespace
{

using Words = std::vector<std::string>;

/// Returns a suggestion from `known`, if one is similar.
std::string nearest(const std::string& word, const Words& known)
{
    return suggestion(word, {known.begin(), known.end()});
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

std::string usageMessage(const CLI::App& app, const CLI::ParseError& error)
{
    const auto parsed = app.get_subcommands();
    const std::string verb = parsed.empty() ? "" : parsed.front()->get_name() + " ";
    const std::string see = "\nsee: stagectl " + verb + "--help";
    // CLI11 reports missing arguments before unknown ones, which are the likelier mistake.
    const int code = error.get_exit_code();
    const bool missing = code == static_cast<int>(CLI::ExitCodes::RequiredError);
    const Words left = app.remaining(true);
    const bool unplaced = missing || code == static_cast<int>(CLI::ExitCodes::ExtrasError);
    const auto option = std::find_if(left.begin(), left.end(),
                                     [](const std::string& word)
                                     { return word.size() > 1 && word.front() == '-'; });
    if (unplaced && verb.empty() && !left.empty() && left.begin() != option)
        return "unknown verb '" + visible(left.front()) + "'" +
               nearest(left.front(), verbsOf(app)) + see;
    if (unplaced && option != left.end())
    {
        Words known;
        addOptions(app, known);
        if (!parsed.empty())
            addOptions(*parsed.front(), known);
        const std::string name = option->substr(0, option->find('='));
        return "unknown option '" + visible(name) + "'" + nearest(name, known) + see;
    }
    if (missing && verb.empty())
        return "a verb is missing" + see;
    return error.what() + see;
}

} // namespace agent::ctl
