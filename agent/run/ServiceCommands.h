#pragma once

#include <string>

namespace agent
{

class Engine;

namespace commands
{

/// Returns the kept id of a service; it is made at its first use.
std::string serviceId(Engine& engine, const std::string& name);

/// The services were reloaded: applies their new concurrency to the queue.
void servicesChanged(Engine& engine);

/// While draining, no run is taken and none begins; begun ones go on.
void drain(Engine& engine, bool on);

} // namespace commands

} // namespace agent
