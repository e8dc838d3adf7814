#include "agent/doctor/Checks.h"
#include "agent/process/Cgroup.h"
#include "agent/process/KernelCalls.h"

#include <sys/timex.h>
#include <sys/utsname.h>

namespace agent::doctor
{

namespace
{

constexpr TimeMs year2025 = 1'735'689'600'000; // before this was written: no right clock is

/// So far an end may lie ahead: it is the shim's start and a duration that the clock does not decide.
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
        findings.ok("kernel", kernel + " has every call that is needed");
    else
        findings.fail("kernel", kernel + " lacks " + joined(missing),
                      "Linux 5.14 or newer has them; in a container its seccomp profile may refuse "
                      "them: allow them there, or update what runs the container");
}

void checkCgroups(const Visit& visit, Findings& findings)
{
    const Cgroup cgroup = Cgroup::seen(visit.running.value_or(0));
    const std::string whose = visit.running ? "the running agent" : "an agent started from here";
    const std::string delegate =
        visit.running
            ? "Delegate=cpu memory pids io in the unit (systemctl edit stage-agent), then "
              "systemctl restart stage-agent"
            : "the unit of systemd has Delegate=cpu memory pids io: start it and look again";
    const std::string missing = cgroup.missing({.memoryBytes = 1, .cpuPercent = 1, .pids = 1});
    if (!cgroup.available())
        findings.warn("cgroups",
                      cgroup.why() + ": no limit of memory, cpu or pids is held for " + whose,
                      delegate);
    else if (!missing.empty())
        findings.warn("cgroups", "limits that nothing holds for " + whose + ": " + missing,
                      delegate + "; on a host that has cgroup version 1 too, boot with "
                                 "systemd.unified_cgroup_hierarchy=1");
    else
        findings.ok("cgroups", "version 2 with memory, cpu and pids for " + whose);
}

void checkClock(std::optional<TimeMs> lastEnd, Findings& findings)
{
    timex clock{};
    const int state = ::adjtimex(&clock);
    const bool synchronised =
        state != TIME_ERROR && (static_cast<unsigned>(clock.status) & STA_UNSYNC) == 0;
    const TimeMs now = nowMs();
    const std::string seen = formatTime(now);
    const std::string advice = "timedatectl set-ntp true (systemd-timesyncd), or install chrony; "
                               "timedatectl shows how it is";
    if (now < year2025)
        findings.fail("clock", seen + " can't be true", advice);
    else if (lastEnd && *lastEnd > now + tolerance)
        findings.warn("clock", seen + " is before the end of a run, " + formatTime(*lastEnd),
                      "the clock is wrong now or was then: " + advice);
    else if (state < 0) // a container's filter
        findings.ok("clock", seen + "; whether it is synchronised can't be seen from here");
    else if (!synchronised)
        findings.warn("clock", seen + ", not synchronised", advice);
    else
        findings.ok("clock", seen + ", synchronised");
}

} // namespace agent::doctor
