#include "plugins/git/Submodules.h"

#include "plugins/git/Url.h"

#include <map>
#include <string_view>

namespace agent::git
{

namespace
{

constexpr std::size_t most = 1000; ///< paths of one command line

/// Calls `take` with each piece of `text` that ends with a NUL.
template <typename Take> void forEachEntry(std::string_view text, const Take& take)
{
    for (std::size_t end = 0; (end = text.find('\0')) != text.npos; text.remove_prefix(end + 1))
        take(text.substr(0, end));
}

struct Settings
{
    std::string path;
    std::string url;
    std::string update;
};

/// Reads `submodule.NAME.KEY`, LF, value: a name may hold dots.
std::map<std::string, Settings> settingsFrom(const std::string& output)
{
    constexpr std::string_view section = "submodule.";
    std::map<std::string, Settings> all;
    forEachEntry(output,
                 [&](std::string_view entry)
                 {
                     const auto key = entry.substr(0, entry.find('\n'));
                     const auto dot = key.rfind('.');
                     if (key.size() == entry.size() || dot < section.size())
                         return;
                     Settings& settings =
                         all[std::string(key.substr(section.size(), dot - section.size()))];
                     std::string value(entry.substr(key.size() + 1));
                     while (value.size() > 1 && value.ends_with('/'))
                         value.pop_back();
                     const auto variable = key.substr(dot + 1);
                     (variable == "path"  ? settings.path
                      : variable == "url" ? settings.url
                                          : settings.update) = value;
                 });
    return all;
}

/// Reads `160000 commit ID`, tab, path; what is no link to a commit is left out.
std::map<std::string, std::string> linksFrom(const std::string& output)
{
    constexpr std::string_view link = "160000 commit ";
    std::map<std::string, std::string> commits;
    forEachEntry(output,
                 [&](std::string_view entry)
                 {
                     const auto tab = entry.find('\t');
                     if (entry.starts_with(link) && tab != entry.npos)
                         commits[std::string(entry.substr(tab + 1))] =
                             entry.substr(link.size(), tab - link.size());
                 });
    return commits;
}

} // namespace

std::vector<Submodule> submodulesOf(const Repository& repository, const std::string& mirror,
                                    const std::string& commit)
{
    const auto read = [&](const Arguments& argv, int nothing)
    {
        const Ended ended = repository.run(argv);
        if (!ended.passed() && ended.exitCode != nothing)
            throw Failure("git: can't read the submodules of " + repository.name() + ": " +
                          repository.why(ended));
        return ended.out;
    };
    if (read(command::listLinks(mirror, commit, {".gitmodules"}), 0).empty())
        return {};
    const auto settings = settingsFrom(read(command::listSubmoduleSettings(mirror, commit), 1));
    if (settings.size() > most)
        throw Failure("git: " + repository.name() + " has more than " + std::to_string(most) +
                      " submodules");
    const auto wanted = [](const Settings& module)
    { return !module.path.empty() && !module.url.empty() && module.update != "none"; };
    std::vector<std::string> paths;
    for (const auto& [name, module] : settings)
        if (wanted(module))
            paths.push_back(module.path);
    if (paths.empty())
        return {};
    const auto commits = linksFrom(read(command::listLinks(mirror, commit, paths), 0));
    std::vector<Submodule> submodules;
    for (const auto& [name, module] : settings)
        if (const auto found = commits.find(module.path); found != commits.end() && wanted(module))
            submodules.push_back(
                {.name = name, .path = module.path, .url = module.url, .commit = found->second});
    return submodules;
}

AllowedSubmodules::AllowedSubmodules(const Repository& repository,
                                     const std::vector<Submodule>& ofBase)
{
    for (const Submodule& submodule : ofBase)
        _all.emplace(submoduleUrl(repository.url(), submodule.url), submodule.commit);
}

void AllowedSubmodules::require(const Repository& submodule) const
{
    const auto found = _all.lower_bound({submodule.url(), ""});
    if (found == _all.end() || found->first != submodule.url())
        throw Failure("git: the submodule " + printable(submodule.name()) +
                      " is none of the base branch: a fork may not add one");
}

bool AllowedSubmodules::hasAt(const Repository& submodule, const std::string& commit) const
{
    return _all.contains({submodule.url(), commit});
}

} // namespace agent::git
