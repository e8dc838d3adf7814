#pragma once

#include "agent/intake/Forge.h"
#include "agent/model/HookDelivery.h"
#include "agent/run/HookRuns.h"
#include "agent/run/IsolationPolicy.h"
#include "agent/run/ServiceCatalog.h"
#include "agent/store/Database.h"

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace agent
{

class Engine;
class PluginRegistry;

/// What hooks work with.
struct HookParts
{
    Engine& engine;
    Database& database;
    const ServiceCatalog& services;
    const PluginRegistry& plugins;
    IsolationPolicy isolation;
    std::filesystem::path secretsDir;
    std::string secret; ///< file in secretsDir, for services without `hook_secret`; empty: none
};

/// Thrown for a delivery that is not taken: what proves its sender is missing or wrong, whatever it is about. Says
/// nothing of services and secrets.
struct HookUnproven
{
};

/// Turns what forges deliver into runs: docs/hooks.md.
/// Threads: any.
class Hooks
{
public:
    /// Of deliveries since the agent's start.
    struct Counts
    {
        std::uint64_t started = 0; ///< with a run
        std::uint64_t without = 0; ///< proven, but without one; repeated ones too
        std::uint64_t refused = 0;
    };

    explicit Hooks(HookParts parts) : _parts(std::move(parts)) {}

    /// Starts the runs that come of a delivery. Blocks until they are on disk.
    /// Errors: HookUnproven; std::runtime_error for a body that is no delivery; Declined as commands::submit().
    commands::Delivered receive(Forge forge, const HookHeaders& headers, const std::string& body);

    /// Starts the runs of a branch or tag that polling found changed: of services that say `poll`, and have no run of that
    /// commit there yet. Returns whether there was such a service. Blocks and errors: as receive().
    bool polled(const ForgeEvent& event);

    /// Deliveries that were not taken, newest first: the last hundred, in memory alone.
    [[nodiscard]] std::vector<HookDelivery> refused() const;
    [[nodiscard]] Counts counts() const;

private:
    using Services = std::vector<std::shared_ptr<const Service>>;

    [[nodiscard]] Services concerned(const ForgeEvent& event) const;
    [[nodiscard]] Services proven(const Services& services, Forge forge, const HookHeaders& headers,
                                  const std::string& body) const;
    [[nodiscard]] bool provenBy(const std::string& secret, Forge forge, const HookHeaders& headers,
                                const std::string& body) const;
    commands::Delivered decide(Forge forge, const HookHeaders& headers, const std::string& body,
                               HookDelivery& delivery);
    commands::Delivered start(const ForgeEvent& event, const Services& services,
                              HookDelivery& delivery);
    void refuse(HookDelivery delivery, const std::string& why);

    const HookParts _parts;
    mutable std::mutex _mutex;
    std::deque<HookDelivery> _refused; // guarded by _mutex
    Counts _counts;                    // guarded by _mutex
};

/// Returns why the event starts no run of the service; empty when it does.
std::string noRunBecause(const Service& service, const ForgeEvent& event);

} // namespace agent
