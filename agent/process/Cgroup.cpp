#include "agent/process/Cgroup.h"

#include "agent/os/FileDescriptor.h"
#include "agent/os/Files.h"
#include "agent/process/ProcessTree.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <sstream>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace fs = std::filesystem;

namespace
{

constexpr std::string_view controllers[] = {"memory", "cpu", "pids", "io"};
constexpr std::string_view treePrefix = "stage-agent.";

/// Writes into a file of a cgroup; false with errno when the kernel refuses.
bool put(const fs::path& file, const std::string& text)
{
    const FileDescriptor fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    return fd.valid() && writeAll(fd.get(), text);
}

std::string reason(const fs::path& where)
{
    return where.string() + ": " + std::generic_category().message(errno);
}

/// mountinfo writes a blank as \040 and so on.
std::string unescaped(const std::string& text)
{
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i)
    {
        if (text[i] == '\\' && i + 3 < text.size())
        {
            plain += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
            i += 3;
        }
        else
            plain += text[i];
    }
    return plain;
}

/// Where cgroup2 is mounted; on a host with both versions that is not /sys/fs/cgroup itself.
fs::path mountOfVersion2()
{
    std::istringstream lines(readFile("/proc/self/mountinfo").value_or(""));
    for (std::string line; std::getline(lines, line);)
    {
        const std::size_t separator = line.find(" - ");
        if (separator == std::string::npos || line.compare(separator, 11, " - cgroup2 ") != 0)
            continue;
        std::istringstream fields(line);
        std::string id, parent, device, root, mount;
        fields >> id >> parent >> device >> root >> mount;
        return unescaped(mount);
    }
    return {};
}

/// A process's group below the mount: the line `0::/path` of /proc/PID/cgroup.
fs::path groupOf(const std::string& pid, const fs::path& mount)
{
    std::istringstream lines(readFile("/proc/" + pid + "/cgroup").value_or(""));
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("0::/"))
            return line.size() == 4 ? mount : mount / line.substr(4);
    return {};
}

bool isUnit(const fs::path& group)
{
    return group.extension() == ".service";
}

bool aloneIn(const fs::path& group)
{
    std::istringstream pids(readFile(group / "cgroup.procs").value_or(""));
    for (int pid = 0; pids >> pid;)
        if (pid != ::getpid())
            return false;
    return true;
}

bool makeGroup(const fs::path& group)
{
    return ::mkdir(group.c_str(), 0755) == 0 || errno == EEXIST;
}

/// What stands in a file such as cgroup.controllers, each name between blanks.
std::string namesIn(const fs::path& file)
{
    std::istringstream words(readFile(file).value_or(""));
    std::string names = " ";
    for (std::string name; words >> name;)
        names += name + " ";
    return names;
}

bool holds(const std::string& names, std::string_view name)
{
    return names.find(" " + std::string(name) + " ") != std::string::npos;
}

/// Lets the groups below `group` have the controllers it has itself. One by one: a single one that is
/// refused would refuse all. What fails shows later, as a limit that is missing.
void enableControllers(const fs::path& group)
{
    const std::string offered = namesIn(group / "cgroup.controllers");
    const std::string enabled = namesIn(group / "cgroup.subtree_control");
    for (const std::string_view controller : controllers)
        if (holds(offered, controller) && !holds(enabled, controller))
            put(group / "cgroup.subtree_control", "+" + std::string(controller));
}

void disableControllers(const fs::path& group)
{
    for (const std::string_view controller : controllers)
        put(group / "cgroup.subtree_control", "-" + std::string(controller));
}

/// Of a stage that has no limit of its own: no build needs as many, and a fork bomb leaves half of the unit's TasksMax= to
/// the others. Where the controller is missing nothing holds it.
constexpr std::int64_t defaultPids = 4096;

} // namespace

Cgroup Cgroup::open(const std::string& name, bool apart)
{
    Cgroup cgroup;
    const fs::path mount = mountOfVersion2();
    const fs::path group = mount.empty() ? fs::path() : groupOf("self", mount);
    if (group.empty() || !fs::exists(group / "cgroup.procs"))
    {
        cgroup._why = mount.empty() ? "no cgroup2 is mounted" : "our own cgroup is not to be seen";
        return cgroup;
    }

    const fs::path above = group.parent_path();
    const bool inLeaf = group != mount && group.filename() == "agent";
    if (inLeaf && isUnit(above) && apart)
    {
        cgroup._home = above;
        cgroup._tree = above / (std::string(treePrefix) + name);
    }
    else if (inLeaf && isUnit(above))
        cgroup._home = cgroup._tree = above; // opened twice, or started by one of ours
    else if (inLeaf && above.filename().string().starts_with(treePrefix))
    {
        cgroup._home = above.parent_path();
        cgroup._tree = cgroup._home / (std::string(treePrefix) + name);
    }
    else if (isUnit(group) && aloneIn(group))
        cgroup._home = cgroup._tree = group;
    else
    {
        cgroup._home = group;
        cgroup._tree = group / (std::string(treePrefix) + name);
    }

    const fs::path leaf = cgroup._tree / "agent";
    cgroup._from = group == leaf ? cgroup._home : group;
    const fs::path stages = cgroup._tree / "stages";
    for (const fs::path& needed : {cgroup._tree, leaf, stages})
        if (cgroup._why.empty() && !makeGroup(needed))
            cgroup._why = reason(needed.parent_path());
    if (cgroup._why.empty() && !put(leaf / "cgroup.procs", std::to_string(::getpid())))
        cgroup._why = reason(leaf);
    if (!cgroup._why.empty())
    {
        ::rmdir(leaf.c_str());
        ::rmdir(stages.c_str());
        if (cgroup._tree != cgroup._home)
            ::rmdir(cgroup._tree.c_str());
        return cgroup;
    }
    for (const fs::path& parent : {cgroup._home, cgroup._tree, stages})
        enableControllers(parent);
    cgroup._stages = stages;
    cgroup._held = namesIn(stages / "cgroup.subtree_control");
    return cgroup;
}

Cgroup Cgroup::seen(int pid)
{
    Cgroup cgroup;
    const fs::path mount = mountOfVersion2();
    if (mount.empty())
    {
        cgroup._why = "no cgroup2 is mounted";
        return cgroup;
    }
    const fs::path group = groupOf(pid > 0 ? std::to_string(pid) : "self", mount);
    if (pid > 0)
    {
        const fs::path stages = group.parent_path() / "stages";
        if (group.filename() == "agent" && fs::exists(stages / "cgroup.procs"))
        {
            cgroup._stages = stages;
            cgroup._held = namesIn(stages / "cgroup.subtree_control");
        }
        else
            cgroup._why = "the running agent could make none below " + group.string();
    }
    else if (::access(group.c_str(), W_OK) == 0)
    {
        cgroup._stages = group;
        cgroup._held = namesIn(group / "cgroup.controllers");
    }
    else
        cgroup._why = reason(group);
    return cgroup;
}

std::string Cgroup::missing(const Limits& limits) const
{
    std::string names;
    const auto look = [&](std::int64_t value, const char* controller)
    {
        if (value > 0 && !holds(_held, controller))
            names += (names.empty() ? "" : ",") + std::string(controller);
    };
    look(limits.memoryBytes, "memory");
    look(limits.cpuPercent, "cpu");
    look(limits.pids, "pids");
    return names;
}

std::string Cgroup::make(const std::string& name, const Limits& limits, std::string& missing) const
{
    if (!available())
    {
        applyLimits("", limits, missing);
        return {};
    }
    const fs::path group = _stages / name;
    if (!makeGroup(group))
        throw std::system_error(errno, std::generic_category(),
                                "cannot make the cgroup '" + group.string() + "'");
    applyLimits(group.string(), limits, missing);
    return group.string();
}

void Cgroup::applyLimits(const std::string& group, const Limits& limits, std::string& missing)
{
    missing.clear();
    const auto limit =
        [&](std::int64_t value, const char* controller, const char* file, const std::string& text)
    {
        if (value > 0 && (group.empty() || !put(fs::path(group) / file, text)))
            missing += (missing.empty() ? "" : ",") + std::string(controller);
        else if (value > 0 && file == std::string_view("memory.max"))
        {
            // Swap would only make it slow before it ends; and it ends as a whole, not one process of
            // it. Hosts without swap accounting lack the first file, which is fine.
            put(fs::path(group) / "memory.swap.max", "0");
            put(fs::path(group) / "memory.oom.group", "1");
        }
    };
    constexpr std::int64_t periodUs = 100'000; // the kernel's own default
    limit(limits.memoryBytes, "memory", "memory.max", std::to_string(limits.memoryBytes));
    limit(limits.cpuPercent, "cpu", "cpu.max",
          std::to_string(limits.cpuPercent * periodUs / 100) + " " + std::to_string(periodUs));
    limit(limits.pids, "pids", "pids.max", std::to_string(limits.pids));
    if (limits.pids == 0 && !group.empty())
        put(fs::path(group) / "pids.max", std::to_string(defaultPids));
}

void Cgroup::removeTree() const
{
    if (!available())
        return;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(_stages, ignored))
        if (entry.is_directory(ignored))
            remove(entry.path());
    if (::rmdir(_stages.c_str()) != 0 && errno != ENOENT)
        return; // something runs yet: the next daemon wants all of this
    // A group that gives controllers to those below takes no process.
    disableControllers(_tree);
    if (!put(_from / "cgroup.procs", std::to_string(::getpid())))
        return;
    const fs::path leaf = _tree / "agent";
    // The keeper, which ends with us, and so after this. What is a unit's systemd removes with the unit.
    if (_tree != _home)
        for (const int pid : processesIn(leaf))
            put(_from / "cgroup.procs", std::to_string(pid));
    ::rmdir(leaf.c_str());
    if (_tree != _home)
        ::rmdir(_tree.c_str());
}

bool Cgroup::isStageGroup(const fs::path& group)
{
    std::error_code ignored;
    return group.is_absolute() && group.parent_path().filename() == "stages" &&
           group.has_filename() && group.lexically_normal() == group &&
           fs::exists(group / "cgroup.procs", ignored);
}

std::vector<int> Cgroup::processesIn(const fs::path& group)
{
    std::vector<int> pids;
    std::istringstream own(readFile(group / "cgroup.procs").value_or(""));
    for (int pid = 0; own >> pid;)
        pids.push_back(pid);
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(group, ignored))
    {
        if (!entry.is_directory(ignored))
            continue;
        const auto below = processesIn(entry.path());
        pids.insert(pids.end(), below.begin(), below.end());
    }
    return pids;
}

std::size_t Cgroup::killAll(const fs::path& group)
{
    const auto pids = processesIn(group);
    // A threaded group below does not list its processes, but makes this one populated.
    const bool populated =
        readFile(group / "cgroup.events").value_or("").find("populated 1") != std::string::npos;
    if (pids.empty() && !populated)
        return 0;
    // The kernel's way, against which no fork helps, passes over a process whose first thread has ended.
    put(group / "cgroup.kill", "1");
    for (const int pid : pids)
        if (const auto stat = processStat(pid))
            signalProcess(*stat, SIGKILL);
    return std::max<std::size_t>(pids.size(), 1);
}

void Cgroup::remove(const fs::path& group)
{
    if (::rmdir(group.c_str()) == 0)
        return;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(group, ignored))
        if (entry.is_directory(ignored))
            remove(entry.path());
    ::rmdir(group.c_str());
}

} // namespace agent
