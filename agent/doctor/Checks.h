#pragma once

#include "agent/doctor/AgentsUser.h"
#include "agent/doctor/Doctor.h"
#include "agent/plugin/PluginRegistry.h"
#include "agent/run/ServiceCatalog.h"

#include <optional>

namespace agent::doctor
{

/// What all checks share.
struct Context
{
    const Setup& setup;
    std::optional<int> running; ///< the pid of the agent that holds the state folder
    User user;                  ///< the user that the checks run as
    User agents;                ///< the agent's user
};

// Each adds findings under its name, in the order of the table. Errors: none.

// SetupChecks.cpp
void checkConfiguration(const Context& context, Findings& findings);
void checkPrograms(const Context& context, Findings& findings);
void checkPlugins(const Context& context, PluginRegistry& plugins, Findings& findings);
void checkServices(const Context& context, const PluginRegistry& plugins,
                   const IsolationPolicy& isolation, ServiceCatalog& services, Findings& findings);

// IsolationCheck.cpp
/// Returns what the configuration says and the host can.
IsolationPolicy isolationOf(const Context& context);
void checkIsolation(const IsolationPolicy& isolation, const ServiceCatalog& services,
                    Findings& findings);

// DependencyChecks.cpp: what stages need
void checkSecrets(const Context& context, const ServiceCatalog& services, Findings& findings);
/// `services`: null if unknown.
void checkGit(const ServiceCatalog* services, Findings& findings);

// TlsCheck.cpp
void checkCertificate(const Context& context, Findings& findings);

// SocketCheck.cpp
void checkSocket(const Context& context, Findings& findings);

// StateChecks.cpp
void checkStateFolder(const Context& context, Findings& findings);
/// Returns the time of the last end of a run, if any.
std::optional<TimeMs> checkRecord(const Context& context, Findings& findings);
void checkDisk(const Context& context, Findings& findings);

// AccessCheck.cpp
void checkAccess(const Context& context, Findings& findings);

// TargetsCheck.cpp
void checkTargets(const Context& context, Findings& findings);

// HostChecks.cpp
void checkKernel(Findings& findings);
void checkCgroups(const Context& context, Findings& findings);
void checkClock(std::optional<TimeMs> lastEnd, Findings& findings);

// PortCheck.cpp
void checkPort(const Context& context, Findings& findings);

} // namespace agent::doctor
