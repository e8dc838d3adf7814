#pragma once

#include "agent/model/PipelineSpec.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace agent
{

class PluginRegistry;

/// The services of services.d/. Readers keep what they were handed out through any reload.
class ServiceCatalog
{
public:
    /// Gives a service without an id in its file the one that is kept for its name.
    using IdFor = std::function<std::string(const std::string& name)>;

    /// Reads all *.yaml and *.yml of `folder` in the order of their names and takes the place of what
    /// was there, all at once. A folder that isn't there is one without services. A wrong file never
    /// stops the others: at a reload its service stays as it was last read. `secrets` is where the
    /// secrets lie; empty: they are not looked at.
    /// Shape: every problem, at most 50 a file and one line that tells of the rest.
    /// Errors: what `idFor` throws; nothing has changed then.
    /// Threads: one load at a time; readers go on meanwhile.
    std::vector<Problem> load(const std::filesystem::path& folder, const PluginRegistry& registry,
                              const IdFor& idFor, const std::filesystem::path& secrets = {});

    /// Threads: any. Shape: null when there is none.
    [[nodiscard]] std::shared_ptr<const Service> find(const std::string& nameOrId) const;

    /// The file that declares a service of this name and was wrong when it was last read; empty: none.
    /// Threads: any.
    [[nodiscard]] std::string refusedFile(const std::string& name) const;

    /// Threads: any. Shape: by name.
    [[nodiscard]] std::vector<std::shared_ptr<const Service>> all() const;

private:
    using Services = std::map<std::string, std::shared_ptr<const Service>>;

    mutable std::mutex _mutex; // guards what follows
    Services _services;
    std::map<std::string, std::string> _refused; ///< by name, their files
};

} // namespace agent
