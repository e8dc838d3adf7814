// The files of outbox.d/.
#include "agent/outbox/TargetSpec.h"

#include <algorithm>
#include <system_error>

namespace agent
{

namespace
{

namespace fs = std::filesystem;

constexpr std::size_t mostTargets = 50;

std::vector<fs::path> targetFiles(const fs::path& folder, std::vector<Problem>& problems)
{
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    {
        const fs::path& file = it->path();
        const bool hidden = file.filename().string().starts_with('.');
        if (!hidden && (file.extension() == ".yaml" || file.extension() == ".yml"))
            files.push_back(file);
    }
    if (error && error != std::errc::no_such_file_or_directory)
        problems.push_back(
            {.file = folder.string(), .message = "cannot be read: " + error.message()});
    std::sort(files.begin(), files.end());
    return files;
}

} // namespace

std::vector<TargetSpec> readTargets(const fs::path& folder, const fs::path& secrets,
                                    std::vector<Problem>& problems,
                                    std::vector<std::string>& refused)
{
    std::vector<TargetSpec> targets;
    for (const fs::path& file : targetFiles(folder, problems))
    {
        std::vector<Problem> found;
        TargetSpec target{.file = file.string()};
        const auto text = readText(file, DocumentLimits{}.bytes, found);
        const auto root = text ? parseYaml(*text, target.file, found) : std::nullopt;
        if (root)
            target = readTarget(*root, target.file, secrets, found);
        const auto same =
            std::find_if(targets.begin(), targets.end(),
                         [&](const TargetSpec& other) { return other.name == target.name; });
        if (found.empty() && same != targets.end())
            found.push_back({.file = target.file,
                             .key = "name",
                             .message = "a target of this name is declared in " + same->file});
        if (found.empty() && targets.size() == mostTargets)
            found.push_back({.file = target.file,
                             .message = "there are " + std::to_string(mostTargets) +
                                        " targets already, which are the most"});
        if (found.empty())
            targets.push_back(std::move(target));
        else
            refused.push_back(target.file);
        problems.insert(problems.end(), found.begin(), found.end());
    }
    return targets;
}

} // namespace agent
