#include "agent/doctor/Checks.h"
#include "agent/doctor/SandboxProbe.h"
#include "agent/os/Files.h"
#include "agent/program/Program.h"

namespace agent::doctor
{

namespace fs = std::filesystem;

namespace
{

std::string settingOf(const char* file)
{
    std::string text = readFile(file).value_or("");
    return text.substr(0, text.find('\n'));
}

/// Returns what would let this host make a sandbox.
std::string wayOut(const fs::path& bubblewrap)
{
    if (bubblewrap.empty())
        return "apt install bubblewrap";
    if (settingOf("/proc/sys/kernel/unprivileged_userns_clone") == "0")
        return "sysctl kernel.unprivileged_userns_clone=1";
    if (settingOf("/proc/sys/user/max_user_namespaces") == "0")
        return "sysctl user.max_user_namespaces=10000";
    if (settingOf("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1")
        return "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile of AppArmor "
               "for bwrap";
    return "let the agent make user namespaces and mount /proc in them: see docs/isolation.md, "
           "When the host can't";
}

/// `a, b`
std::string withoutSandbox(const IsolationPolicy& isolation, const ServiceCatalog& services)
{
    std::string names;
    for (const auto& service : services.all())
        if (isolation.of(service->pipeline, TriggerType::Main) == Isolation::None)
            names += (names.empty() ? "" : ", ") + service->name;
    return names;
}

} // namespace

IsolationPolicy isolationOf(const Context& context)
{
    IsolationPolicy isolation = context.setup.config.isolation;
    isolation.bubblewrap = bubblewrap();
    if (const auto lack = sandboxLack(context.setup.programs / "stage-shim", isolation.bubblewrap);
        !lack.empty())
        isolation.withoutSandbox(lack, context.setup.config.isolationChosen);
    return isolation;
}

void checkIsolation(const IsolationPolicy& isolation, const ServiceCatalog& services,
                    Findings& findings)
{
    if (!isolation.hostLacks.empty())
        return findings.warn("isolation",
                             "this host can't make a sandbox, so " +
                                 std::string(isolation.byDefault == Isolation::None
                                                 ? "stages are not kept apart from the agent"
                                                 : "stages are refused that want one") +
                                 ", and pull requests are refused: " + isolation.hostLacks,
                             wayOut(isolation.bubblewrap));
    if (isolation.byDefault == Isolation::None)
        return findings.warn("isolation",
                             "isolation.default is none: stages may read the agent's record and "
                             "secrets",
                             "remove isolation.default; docs/isolation.md says what a sandbox "
                             "shows, and how to bind more");
    const std::string names = withoutSandbox(isolation, services);
    findings.ok("isolation", "stages have a sandbox of " + isolation.bubblewrap.string() +
                                 (names.empty() ? "" : ", but not those of: " + names));
}

} // namespace agent::doctor
