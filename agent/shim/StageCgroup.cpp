#include "agent/shim/StageCgroup.h"

#include "agent/os/Files.h"
#include "agent/wire/Failpoint.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

namespace agent
{
namespace
{

std::int64_t numberAt(std::string_view text)
{
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/// The number behind `name`, such as `usage_usec 123`; all of them added up (`8:0 rbytes=5 …` has one
/// for each device).
std::optional<std::int64_t> sumOf(std::string_view text, std::string_view name)
{
    std::optional<std::int64_t> sum;
    for (std::size_t at = text.find(name); at != std::string_view::npos;
         at = text.find(name, at + name.size()))
    {
        const bool startsWord = at == 0 || text[at - 1] == '\n' || text[at - 1] == ' ';
        if (startsWord)
            sum = sum.value_or(0) + numberAt(text.substr(at + name.size()));
    }
    return sum;
}

void addPids(const std::string& text, std::vector<pid_t>& pids)
{
    std::string_view rest = text;
    while (!rest.empty())
    {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        if (const std::int64_t pid = numberAt(rest.substr(0, end)); pid > 0)
            pids.push_back(static_cast<pid_t>(pid));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
}

} // namespace

StageCgroup::StageCgroup(const std::string& folder) : _path(folder)
{
    if (folder.empty())
        return;
    _folder = FileDescriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!_folder.valid())
        return;
    // cgroup.kill would end the shim too.
    const std::vector<pid_t> inside = pids();
    if (std::find(inside.begin(), inside.end(), ::getpid()) != inside.end())
        abandon();
}

std::string StageCgroup::read(const std::string& name) const
{
    return available() ? readFile(_path + "/" + name).value_or("") : std::string();
}

bool StageCgroup::populated() const
{
    return sumOf(read("cgroup.events"), "populated ") == 1;
}

void StageCgroup::kill() const
{
    if (!available())
        return;
    FAILPOINT("shim.cgroup.kill");
    const FileDescriptor file(::openat(_folder.get(), "cgroup.kill", O_WRONLY | O_CLOEXEC));
    if (file.valid())
        writeAll(file.get(), "1");
    FAILPOINT("shim.cgroup.killed");
}

std::vector<pid_t> StageCgroup::pids() const
{
    std::vector<pid_t> pids;
    if (!available())
        return pids;
    addPids(read("cgroup.procs"), pids);
    std::error_code error;
    std::filesystem::recursive_directory_iterator entry(_path, error);
    for (; !error && entry != std::filesystem::recursive_directory_iterator();
         entry.increment(error))
        if (entry->is_directory(error))
            addPids(readFile(entry->path().string() + "/cgroup.procs").value_or(""), pids);
    return pids;
}

std::int64_t StageCgroup::oomKills() const
{
    return sumOf(read("memory.events"), "oom_kill ").value_or(0);
}

void StageCgroup::addUsage(Usage& usage) const
{
    const auto raise = [](std::optional<std::int64_t>& value, std::int64_t counted)
    { value = std::max(value.value_or(0), counted); };
    if (const auto cpu = sumOf(read("cpu.stat"), "usage_usec "))
        raise(usage.cpuMs, *cpu / 1000);
    if (const std::string peak = read("memory.peak"); !peak.empty())
        raise(usage.maxRssBytes, numberAt(peak));
    const std::string io = read("io.stat");
    if (const auto bytes = sumOf(io, "rbytes="))
        raise(usage.readBytes, *bytes);
    if (const auto bytes = sumOf(io, "wbytes="))
        raise(usage.writeBytes, *bytes);
}

} // namespace agent
