#pragma once

#include "agent/model/PipelineSpec.h"

#include "agent/run/IsolationPolicy.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

class PluginRegistry;

/// The services of services.d/. Readers keep their service over a reload.
class ServiceCatalog
{
public:
    /// Returns the recorded id for a service without one in its file.
    using IdFor = std::function<std::string(const std::string& name)>;

    /// Reads all *.yaml and *.yml of `folder` in the order of their names and replaces the services atomically. A
    /// missing folder has no services. An invalid file does not affect others: at a reload its service is kept as
    /// last read. `secrets` is the folder of the secrets; empty: they are not checked. `isolation` says what they
    /// may ask for.
    /// Returns the problems, at most 50 per file and a line about the rest.
    /// Errors: those of `idFor`; nothing is changed then.
    /// Threads: one load at a time, concurrent with readers.
    std::vector<Problem> load(const std::filesystem::path& folder, const PluginRegistry& registry,
                              const IdFor& idFor, const std::filesystem::path& secrets = {},
                              const IsolationPolicy& isolation = {});

    /// Returns null if there is none. Threads: any.
    [[nodiscard]] std::shared_ptr<const Service> find(const std::string& nameOrId) const;

    /// A file that was invalid when last read.
    struct Refused
    {
        std::string name; ///< of its service; that of the file, if it could not be read
        std::string file;
        std::string problem; ///< the first one, with its place, and how many more there are
        bool inUse = false;  ///< an earlier content of the file still is
    };

    /// Returns the refused file that declares this service; nullopt if none. Threads: any.
    [[nodiscard]] std::optional<Refused> refused(const std::string& name) const;

    /// Returns all of them by name. Threads: any.
    [[nodiscard]] std::vector<Refused> allRefused() const;

    /// Returns the services by name. Threads: any.
    [[nodiscard]] std::vector<std::shared_ptr<const Service>> all() const;

private:
    using Services = std::map<std::string, std::shared_ptr<const Service>>;

    mutable std::mutex _mutex; // guards what follows
    Services _services;
    std::map<std::string, Refused> _refused; ///< by name
};

} // namespace agent
