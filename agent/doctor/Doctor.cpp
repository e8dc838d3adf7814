#include "agent/doctor/Doctor.h"

#include "agent/doctor/Checks.h"
#include "agent/run/StateFolder.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace agent::doctor
{

namespace
{

/// Returns the user of the running agent; else, with the installed configuration, the unit's user, even if
/// the state folder is missing or owned by root by mistake; else the folder's owner.
User agentsUser(const Setup& setup, std::optional<int> running, const User& us)
{
    if (running)
        if (const auto owner = ownerOf("/proc/" + std::to_string(*running)))
            return *owner;
    if (setup.file.parent_path() == "/etc/stage-agent")
        if (const auto unit = userNamed("stage-agent"))
            return *unit;
    return ownerOf(setup.config.stateDir).value_or(us);
}

/// Returns whether the state folder is that of a DynamicUser=, which can reach it only through the unit's
/// mounts, while root can reach it from here.
bool isHiddenFromItsUser(const std::filesystem::path& state)
{
    std::error_code error;
    return std::filesystem::canonical(state, error).string().starts_with("/var/lib/private/");
}

/// Another user's view of the agent's folders would mostly be wrong: these checks are skipped.
void warnOtherUser(const User& us, const User& agents, Findings& findings)
{
    findings.warn("user",
                  us.name + ", but the agent's user is " + agents.name +
                      ": its configuration, state folder, record, disk, plugins, services, "
                      "secrets, cgroups and port are not checked",
                  "sudo stagectl doctor, or sudo -u " + agents.name + " stagectl doctor");
}

void checkAll(const Context& context, Findings& findings)
{
    checkConfiguration(context, findings);
    checkCertificate(context, findings);
    checkSocket(context, findings);
    checkStateFolder(context, findings);
    checkAccess(context, findings);
    const auto lastEnd = checkRecord(context, findings);
    checkDisk(context, findings);
    checkKernel(findings);
    checkCgroups(context, findings);
    checkClock(lastEnd, findings);
    checkPrograms(context, findings);
    PluginRegistry plugins;
    ServiceCatalog services;
    checkPlugins(context, plugins, findings);
    const IsolationPolicy isolation = isolationOf(context);
    checkServices(context, plugins, isolation, services, findings);
    checkIsolation(isolation, services, findings);
    checkSecrets(context, services, findings);
    checkGit(&services, findings);
    checkTargets(context, findings);
}

void checkAsOtherUser(const Context& context, Findings& findings)
{
    checkKernel(findings);
    checkClock(std::nullopt, findings);
    checkPrograms(context, findings);
    checkGit(nullptr, findings);
}

} // namespace

Findings checkHost(const Setup& setup)
{
    Findings findings;
    endWithParent();
    const User us = ourselves();
    const auto running = StateFolder::holder(setup.config.stateDir);
    const User agents = agentsUser(setup, running, us);
    const Context context{.setup = setup, .running = running, .user = us, .agents = agents};
    if (us.id != 0 && us.id != agents.id)
    {
        warnOtherUser(us, agents, findings);
        checkAsOtherUser(context, findings);
        return findings;
    }
    {
        const AsUser as(isHiddenFromItsUser(setup.config.stateDir) ? us : agents);
        findings.ok("user", as.user().id == us.id ? us.name
                                                  : us.name + ", checking as " + as.user().name +
                                                        ", the agent's user");
        checkAll({.setup = setup, .running = running, .user = as.user(), .agents = agents},
                 findings);
    }
    checkPort(context, findings); // not as the agent's user: root can see who holds a socket
    return findings;
}

std::string toJson(const Findings& findings)
{
    rapidjson::StringBuffer buffer;
    rapidjson::Writer writer(buffer);
    writer.StartArray();
    for (const Finding& finding : findings.all())
    {
        writer.StartObject();
        writer.Key("check");
        writer.String(finding.check);
        writer.Key("status");
        writer.String(std::string(toString(finding.health)));
        writer.Key("seen");
        writer.String(finding.seen);
        writer.Key("advice");
        writer.String(finding.advice);
        writer.EndObject();
    }
    writer.EndArray();
    return {buffer.GetString(), buffer.GetSize()};
}

} // namespace agent::doctor
