#include "agent/run/ServiceCatalog.h"

#include "agent/model/Id.h"
#include "agent/run/PipelineParser.h"
#include "agent/run/SecretFolder.h"

#include <algorithm>
#include <stdexcept>
#include <system_error>

namespace agent
{

namespace
{

namespace fs = std::filesystem;

constexpr std::size_t maxProblemsOfFile = 50;

std::vector<fs::path> serviceFiles(const fs::path& folder, std::vector<Problem>& problems)
{
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    {
        const fs::path& file = it->path();
        const bool hidden = file.filename().string().starts_with('.'); // an editor's
        if (!hidden && (file.extension() == ".yaml" || file.extension() == ".yml"))
            files.push_back(file);
    }
    if (error && error != std::errc::no_such_file_or_directory)
        problems.push_back({.file = folder.string(),
                            .line = 0,
                            .key = {},
                            .message = "cannot be read: " + error.message()});
    std::sort(files.begin(), files.end());
    return files;
}

/// The names of secrets, by the keys where they stand.
std::vector<std::pair<std::string, std::string>> namedSecrets(const PipelineSpec& pipeline)
{
    std::vector<std::pair<std::string, std::string>> named;
    const auto add = [&](const std::string& key, const std::vector<std::string>& names)
    {
        for (std::size_t i = 0; i < names.size(); ++i)
            named.emplace_back(key + "[" + std::to_string(i) + ']', names[i]);
    };
    add("secrets", pipeline.secrets);
    for (std::size_t i = 0; i < pipeline.stages.size(); ++i)
        add("stages[" + std::to_string(i) + "].secrets", pipeline.stages[i].secrets);
    if (!pipeline.git.token.empty())
        named.emplace_back("git.token", pipeline.git.token);
    if (!pipeline.git.sshKey.empty())
        named.emplace_back("git.ssh_key", pipeline.git.sshKey);
    return named;
}

/// A secret that isn't there yet fails its stage at launch; one that is there must be fit for it.
void checkSecrets(const ParsedService& parsed, const fs::path& folder,
                  std::vector<Problem>& problems)
{
    for (const auto& [key, name] : namedSecrets(parsed.service.pipeline))
    {
        if (std::error_code error; !fs::exists(fs::symlink_status(folder / name, error)))
            continue;
        try
        {
            readSecrets({name}, folder);
        }
        catch (const std::runtime_error& error) // it names the secret and never its value
        {
            problems.push_back({.file = parsed.service.file,
                                .line = parsed.lineOf(key),
                                .key = key,
                                .message = error.what()});
        }
    }
}

/// Reports what the configuration does not let the service have.
void checkIsolation(ParsedService& parsed, const IsolationPolicy& isolation)
{
    for (Problem& problem : isolation.check(parsed.service.pipeline, parsed.service.name))
    {
        problem.file = parsed.service.file;
        problem.line = parsed.lineOf(problem.key);
        parsed.problems.push_back(std::move(problem));
    }
}

void append(std::vector<Problem>& all, std::vector<Problem> some, const std::string& file)
{
    const std::size_t count = some.size();
    const std::size_t shown = std::min(count, maxProblemsOfFile);
    std::move(some.begin(), some.begin() + static_cast<std::ptrdiff_t>(shown),
              std::back_inserter(all));
    if (count > shown)
        all.push_back({.file = file,
                       .line = 0,
                       .key = {},
                       .message = "and " + std::to_string(count - shown) + " more problems"});
}

std::string summary(const std::vector<Problem>& problems)
{
    const std::size_t more = problems.size() - 1;
    return problems.front().describe() +
           (more == 0 ? "" : " (and " + std::to_string(more) + " more)");
}

const Service* withId(const std::map<std::string, std::shared_ptr<const Service>>& services,
                      const std::string& id)
{
    for (const auto& [name, service] : services)
        if (service->id == id)
            return service.get();
    return nullptr;
}

/// Sets the service's id, and reports a name or id that another service has.
void checkIdentity(ParsedService& parsed,
                   const std::map<std::string, std::shared_ptr<const Service>>& others,
                   const ServiceCatalog::IdFor& idFor)
{
    Service& service = parsed.service;
    const auto tell = [&](const std::string& key, const std::string& message)
    {
        parsed.problems.push_back(
            {.file = service.file, .line = parsed.lineOf(key), .key = key, .message = message});
    };

    if (const auto other = others.find(service.name); other != others.end())
    {
        tell("name", "a service of this name is already declared in " + other->second->file);
        return;
    }
    if (service.id.empty())
        service.id = idFor(service.name);
    if (const Service* other = withId(others, service.id); other != nullptr)
        tell("id", "the service '" + other->name + "' has this id already");
}

} // namespace

std::vector<Problem> ServiceCatalog::load(const fs::path& folder, const PluginRegistry& registry,
                                          const IdFor& idFor, const fs::path& secrets,
                                          const IsolationPolicy& isolation)
{
    Services before;
    {
        const std::lock_guard lock(_mutex);
        before = _services;
    }

    std::vector<Problem> all;
    Services fresh;
    std::vector<std::string> broken;
    std::map<std::string, Refused> refused;
    const std::vector<fs::path> files = serviceFiles(folder, all);
    const bool unreadable = !all.empty();
    for (const fs::path& file : files)
    {
        ParsedService parsed = parseService(file);
        const Service& service = parsed.service;
        std::vector<Problem>& problems = parsed.problems;
        // Also where there are others: whoever writes a service shall see all at once.
        for (auto& problem : checkPlugins(service.pipeline, registry, service.file, parsed.places))
            problems.push_back(std::move(problem));
        if (problems.empty())
            checkIsolation(parsed, isolation);
        if (problems.empty() && !secrets.empty())
            checkSecrets(parsed, secrets, problems);
        if (problems.empty())
            checkIdentity(parsed, fresh, idFor);
        if (problems.empty())
            fresh.emplace(service.name, std::make_shared<const Service>(service));
        else
        {
            broken.push_back(service.file);
            const std::string name = service.name.empty() ? file.stem().string() : service.name;
            refused.emplace(
                name, Refused{.name = name, .file = file.string(), .problem = summary(problems)});
        }
        append(all, std::move(problems), file.string());
    }

    for (const auto& [name, service] : before)
    {
        const bool isBroken =
            unreadable || std::find(broken.begin(), broken.end(), service->file) != broken.end();
        if (!isBroken || fresh.contains(name) || withId(fresh, service->id) != nullptr)
            continue;
        fresh.emplace(name, service);
        for (auto& [other, each] : refused)
            each.inUse = each.inUse || each.file == service->file;
        all.push_back({.file = service->file,
                       .line = 0,
                       .key = {},
                       .message = "the service '" + name + "' stays as it was last read"});
    }

    const std::lock_guard lock(_mutex);
    _services.swap(fresh);
    _refused.swap(refused);
    return all;
}

std::shared_ptr<const Service> ServiceCatalog::find(const std::string& nameOrId) const
{
    const std::lock_guard lock(_mutex);
    if (const auto found = _services.find(nameOrId); found != _services.end())
        return found->second;
    const auto id = parseId(nameOrId);
    for (const auto& [name, service] : _services)
        if (id && service->id == *id)
            return service;
    return nullptr;
}

std::optional<ServiceCatalog::Refused> ServiceCatalog::refused(const std::string& name) const
{
    const std::lock_guard lock(_mutex);
    const auto found = _refused.find(name);
    return found == _refused.end() ? std::nullopt : std::optional(found->second);
}

std::vector<ServiceCatalog::Refused> ServiceCatalog::allRefused() const
{
    const std::lock_guard lock(_mutex);
    std::vector<Refused> result;
    for (const auto& [name, each] : _refused)
        result.push_back(each);
    return result;
}

std::vector<std::shared_ptr<const Service>> ServiceCatalog::all() const
{
    const std::lock_guard lock(_mutex);
    std::vector<std::shared_ptr<const Service>> result;
    for (const auto& [name, service] : _services)
        result.push_back(service);
    return result;
}

} // namespace agent
