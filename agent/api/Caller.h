#pragma once

#include "agent/model/Run.h"
#include "agent/run/TokenCatalog.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// What whoever asks may do. Until Access has looked: nothing.
struct Caller
{
    std::optional<Role> role; ///< none: nothing
    std::vector<std::string>
        services; ///< patterns of the services that he sees; empty: all there is
    std::shared_ptr<const Grant> grant; ///< the token's, which may end; null: none was needed

    [[nodiscard]] bool may(Role needed) const { return role && *role >= needed; }
    [[nodiscard]] bool narrowed() const { return !services.empty(); }

    /// Whether he may know of this service, and of this run. A pipeline of its own belongs to no service.
    [[nodiscard]] bool sees(const std::string& service) const
    {
        return !narrowed() || (!service.empty() && matchesAny(services, service));
    }
    [[nodiscard]] bool sees(const agent::Run& run) const { return sees(run.serviceName); }
};

} // namespace agent
