#include "agent/doctor/Checks.h"
#include "agent/process/Cgroup.h"
#include "agent/process/KernelCalls.h"
#include "agent/run/ClockState.h"

#include <sys/utsname.h>

namespace agent::doctor
{

namespace
{

constexpr TimeMs year2025 = 1'735'689'600'000; // no correct clock is earlier

/// An end may lie in the future by this much: it is the shim's start plus a monotonic duration.
constexpr TimeMs tolerance = 60'000;

std::string joined(const std::vector<std::string>& words)
{
    std::string text;
    for (const auto& word : words)
        text += (text.empty() ? "" : ", ") + word;
    return text;
}

} // namespace

void checkKernel(Findings& findings)
{
    utsname names{};
    ::uname(&names);
    const std::string kernel = std::string("Linux ") + names.release;
    if (const auto missing = missingKernelCalls(); missing.empty())
        findings.ok("kernel", kernel + " has all required system calls");
    else
        findings.fail("kernel", kernel + " lacks " + joined(missing),
                      "Linux 5.14 or newer has them; in a container, allow them in the seccomp "
                      "profile, or update the container runtime");
}

void checkCgroups(const Context& context, Findings& findings)
{
    const Cgroup cgroup = Cgroup::seen(context.running.value_or(0));
    const std::string whose = context.running ? "the running agent" : "an agent started from here";
    const std::string delegate =
        context.running
            ? "Delegate=cpu memory pids io in the unit (systemctl edit stage-agent), then "
              "systemctl restart stage-agent"
            : "the systemd unit has Delegate=cpu memory pids io: start it and check again";
    const std::string missing = cgroup.missing({.memoryBytes = 1, .cpuPercent = 1, .pids = 1});
    if (!cgroup.available())
        findings.warn("cgroups",
                      cgroup.why() + ": no memory, cpu or pids limit is enforced for " + whose,
                      delegate);
    else if (!missing.empty())
        findings.warn("cgroups", "limits not enforced for " + whose + ": " + missing,
                      delegate + "; on a host that also mounts cgroup version 1, boot with "
                                 "systemd.unified_cgroup_hierarchy=1");
    else
        findings.ok("cgroups", "version 2 with memory, cpu and pids for " + whose);
}

void checkClock(std::optional<TimeMs> lastEnd, Findings& findings)
{
    const std::optional<bool> synchronised = clockIsSynchronised();
    const TimeMs now = nowMs();
    const std::string seen = formatTime(now);
    const std::string advice = "timedatectl set-ntp true (systemd-timesyncd), or install chrony; "
                               "timedatectl shows the state";
    if (now < year2025)
        findings.fail("clock", seen + " can't be correct", advice);
    else if (lastEnd && *lastEnd > now + tolerance)
        findings.warn("clock", seen + " is before the end of a run, " + formatTime(*lastEnd),
                      "the clock is wrong now, or was then: " + advice);
    else if (!synchronised)
        findings.ok("clock", seen + "; can't tell whether it is synchronised");
    else if (!*synchronised)
        findings.warn("clock", seen + ", not synchronised", advice);
    else
        findings.ok("clock", seen + ", synchronised");
}

} // namespace agent::doctor
