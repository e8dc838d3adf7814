#include "agent/shim/MountTable.h"

#include "agent/os/Files.h"

#include <sstream>

#include <sys/stat.h>

namespace agent
{
namespace
{

/// A blank stands as `\040`.
std::string unescaped(const std::string& text)
{
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (text[i] == '\\' && i + 3 < text.size())
        {
            plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                       (text[i + 3] - '0'));
            i += 3;
        }
        else
            plain += text[i];
    return plain;
}

/// `/a` and `/b` make `/a/b`, whichever of them is the root.
std::string joined(const std::string& folder, const std::string& rest)
{
    std::string path = folder == "/" ? rest : folder + rest;
    return path.empty() ? "/" : path;
}

/// What follows `folder` in `path`, which is in it; with a slash, or empty.
std::string below(const std::string& path, const std::string& folder)
{
    if (path == folder)
        return "";
    return folder == "/" ? path : path.substr(folder.size());
}

/// A later mount may stand in front of what the table tells.
bool same(const std::string& one, const std::string& other)
{
    struct stat first = {};
    struct stat second = {};
    return ::stat(one.c_str(), &first) == 0 && ::stat(other.c_str(), &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

} // namespace

bool isIn(const std::string& path, const std::string& folder)
{
    return path == folder || (folder == "/" && path.starts_with('/')) ||
           path.starts_with(folder + "/");
}

MountTable::MountTable()
{
    std::istringstream lines(readFile("/proc/self/mountinfo").value_or(""));
    for (std::string line; std::getline(lines, line);)
    {
        std::istringstream words(line);
        std::string id, parent;
        Mount mount;
        if (words >> id >> parent >> mount.device >> mount.root >> mount.point)
        {
            mount.root = unescaped(mount.root);
            mount.point = unescaped(mount.point);
            _mounts.push_back(std::move(mount));
        }
    }
}

std::vector<std::string> MountTable::aliasesOf(const std::string& path) const
{
    const Mount* around = nullptr;
    for (const Mount& mount : _mounts)
        if (isIn(path, mount.point) &&
            (around == nullptr || mount.point.size() >= around->point.size()))
            around = &mount;
    std::vector<std::string> aliases;
    if (around == nullptr)
        return aliases;
    const std::string inner = joined(around->root, below(path, around->point));
    for (const Mount& mount : _mounts)
    {
        if (mount.device != around->device)
            continue;
        std::string alias;
        std::string original = path;
        if (isIn(inner, mount.root))
            alias = joined(mount.point, below(inner, mount.root));
        else if (isIn(mount.root, inner))
        {
            alias = mount.point;
            original = joined(path, below(mount.root, inner));
        }
        if (!alias.empty() && !isIn(alias, path) && same(alias, original))
            aliases.push_back(alias);
    }
    return aliases;
}

} // namespace agent
