#pragma once

#include "agent/doctor/AgentsUser.h"
#include "agent/doctor/Doctor.h"
#include "agent/plugin/PluginRegistry.h"
#include "agent/run/ServiceCatalog.h"

#include <optional>

namespace agent::doctor
{

/// What every check knows.
struct Visit
{
    const Setup& setup;
    std::optional<int> running; ///< the pid of the agent that has the state folder
    User user;                  ///< as whom we look
    User agents;                ///< whose the agent is
};

// Each tells what it finds under the name of its check, in the order of the table. None throws.

// SetupChecks.cpp
void checkConfiguration(const Visit& visit, Findings& findings);
void checkPrograms(const Visit& visit, Findings& findings);
void checkPlugins(const Visit& visit, PluginRegistry& plugins, Findings& findings);
void checkServices(const Visit& visit, const PluginRegistry& plugins, ServiceCatalog& services,
                   Findings& findings);

// MaterialChecks.cpp: what stages need besides
void checkSecrets(const Visit& visit, const ServiceCatalog& services, Findings& findings);
/// `services`: null where they are not known.
void checkGit(const ServiceCatalog* services, Findings& findings);

// StateChecks.cpp
void checkStateFolder(const Visit& visit, Findings& findings);
/// Shape: the newest end of a run, when there is one.
std::optional<TimeMs> checkRecord(const Visit& visit, Findings& findings);
void checkDisk(const Visit& visit, Findings& findings);

// HostChecks.cpp
void checkKernel(Findings& findings);
void checkCgroups(const Visit& visit, Findings& findings);
void checkClock(std::optional<TimeMs> lastEnd, Findings& findings);

// PortCheck.cpp
void checkPort(const Visit& visit, Findings& findings);

} // namespace agent::doctor
