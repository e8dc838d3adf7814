#include "agent/doctor/Doctor.h"

#include "agent/doctor/Checks.h"
#include "agent/run/StateFolder.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace agent::doctor
{

namespace
{

/// With the installed configuration, which others may not even read, it is systemd's agent that is meant;
/// its user is known also where the folder is not there yet, or is root's by mistake.
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

/// A DynamicUser= reaches its state folder through the unit's own mounts only; root sees it from here.
bool hiddenFromItsUser(const std::filesystem::path& state)
{
    std::error_code error;
    return std::filesystem::canonical(state, error).string().starts_with("/var/lib/private/");
}

/// What an outsider sees of the agent's folders would be wrong more often than right.
void tellOutsider(const User& us, const User& agents, Findings& findings)
{
    findings.warn("user",
                  us.name + ", but the agent is " + agents.name +
                      "'s: its configuration, state folder, record, disk, plugins, services, "
                      "secrets, cgroups and port are not looked at",
                  "sudo stagectl doctor, or sudo -u " + agents.name + " stagectl doctor");
}

void checkAll(const Visit& visit, Findings& findings)
{
    checkConfiguration(visit, findings);
    checkStateFolder(visit, findings);
    const auto lastEnd = checkRecord(visit, findings);
    checkDisk(visit, findings);
    checkKernel(findings);
    checkCgroups(visit, findings);
    checkClock(lastEnd, findings);
    checkPrograms(visit, findings);
    PluginRegistry plugins;
    ServiceCatalog services;
    checkPlugins(visit, plugins, findings);
    checkServices(visit, plugins, services, findings);
    checkSecrets(visit, services, findings);
    checkGit(&services, findings);
}

void checkWhatAnyoneSees(const Visit& visit, Findings& findings)
{
    checkKernel(findings);
    checkClock(std::nullopt, findings);
    checkPrograms(visit, findings);
    checkGit(nullptr, findings);
}

} // namespace

Findings examine(const Setup& setup)
{
    Findings findings;
    endWithWhoAsked();
    const User us = ourselves();
    const auto running = StateFolder::holder(setup.config.stateDir);
    const User agents = agentsUser(setup, running, us);
    const Visit visit{.setup = setup, .running = running, .user = us, .agents = agents};
    if (us.id != 0 && us.id != agents.id)
    {
        tellOutsider(us, agents, findings);
        checkWhatAnyoneSees(visit, findings);
        return findings;
    }
    {
        const LookingAs as(hiddenFromItsUser(setup.config.stateDir) ? us : agents);
        findings.ok("user", as.user().id == us.id ? us.name
                                                  : us.name + ", looking as " + as.user().name +
                                                        ", whose the agent is");
        checkAll({.setup = setup, .running = running, .user = as.user(), .agents = agents},
                 findings);
    }
    checkPort(visit, findings); // as ourselves: root sees whose socket it is
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
