#include "agent/plugin/PluginRegistry.h"

#include "agent/document/DocumentValue.h"
#include "agent/model/Suggestion.h"
#include "agent/plugin/Manifest.h"

#include <rapidjson/document.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace agent
{

namespace fs = std::filesystem;

namespace
{

/// The NAME of an element `${NAME}`; nothing: it is another word.
std::optional<std::string> variableOf(const std::string& element)
{
    if (element.size() > 3 && element.starts_with("${") && element.find('}') == element.size() - 1)
        return element.substr(2, element.size() - 3);
    return std::nullopt;
}

} // namespace

std::string Plugin::value(const Setting& setting) const
{
    if (!commaLists || setting.kind != Setting::Kind::List)
        return setting.text;
    rapidjson::Document list;
    list.Parse<rapidjson::kParseNumbersAsStringsFlag>(setting.text.c_str()); // as they are written
    std::string joined;
    for (const auto& item : list.GetArray())
    {
        if (item.IsArray() || item.IsObject())
            return setting.text;
        joined.append(&item == list.Begin() ? "" : ",");
        if (item.IsString())
            joined.append(item.GetString(), item.GetStringLength());
        else if (item.IsBool())
            joined.append(item.GetBool() ? "true" : "false");
    }
    return joined;
}

bool Plugin::showsInArgv(const std::string& variable) const
{
    return std::any_of(run.begin(), run.end(),
                       [&](const std::string& element) { return variableOf(element) == variable; });
}

std::vector<std::string> Plugin::argv(const std::map<std::string, std::string>& env) const
{
    std::vector<std::string> result;
    for (const std::string& element : run)
    {
        if (const auto variable = variableOf(element))
        {
            const auto found = env.find(*variable);
            result.push_back(found == env.end() ? "" : found->second);
        }
        else if (element.starts_with("./"))
            result.push_back((folder / element.substr(2)).string());
        else
            result.push_back(element);
    }
    return result;
}

void PluginRegistry::load(const fs::path& root, std::vector<Problem>& problems)
{
    const auto tell = [&](const fs::path& path, const std::string& message)
    { problems.push_back({.file = path.string(), .line = 0, .key = {}, .message = message}); };

    std::error_code error;
    std::vector<fs::path> folders;
    for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error))
        if (std::error_code none; fs::exists(fs::symlink_status(it->path() / "plugin.yaml", none)))
            folders.push_back(it->path());
    if (error)
    {
        // No folder of plugins is no mistake: the built-in ones load from their own.
        if (error != std::errc::no_such_file_or_directory)
            tell(root, "cannot be read: " + error.message());
        return;
    }
    if (const std::string message = placeProblem(root, root); !message.empty())
    {
        tell(root, message + ", so no plugin of it is loaded");
        return;
    }

    std::sort(folders.begin(), folders.end());
    for (const fs::path& folder : folders)
    {
        if (const std::string message = placeProblem(folder, root); !message.empty())
        {
            tell(folder, message);
            continue;
        }
        auto plugin = readManifest(folder, problems);
        if (!plugin)
            continue;
        if (const auto other = find(plugin->name))
            tell(folder / "plugin.yaml", "a plugin named '" + plugin->name +
                                             "' is already loaded from " + other->folder.string());
        else
        {
            Plugins more = all();
            more.emplace(plugin->name, std::make_shared<const Plugin>(*plugin));
            std::atomic_store(&_plugins, std::make_shared<const Plugins>(std::move(more)));
        }
    }
}

void PluginRegistry::replaceBy(const PluginRegistry& loaded)
{
    std::atomic_store(&_plugins, std::atomic_load(&loaded._plugins));
}

std::shared_ptr<const Plugin> PluginRegistry::find(const std::string& name) const
{
    const auto plugins = std::atomic_load(&_plugins);
    const auto found = plugins->find(name);
    return found == plugins->end() ? nullptr : found->second;
}

std::vector<Problem> PluginRegistry::check(const StageSpec& stage, const std::string& key) const
{
    std::vector<Problem> problems;
    const auto tell = [&](const std::string& where, const std::string& message)
    { problems.push_back({.file = {}, .line = 0, .key = key + '.' + where, .message = message}); };

    const auto plugin = find(stage.plugin);
    if (plugin == nullptr && stage.plugin.empty())
        return problems; // told by whoever read the stage
    if (plugin == nullptr)
    {
        std::vector<std::string_view> known;
        const Plugins all = this->all();
        for (const auto& [name, each] : all)
            known.push_back(name);
        tell("plugin",
             "there is no plugin " + inQuotes(stage.plugin) + suggestion(stage.plugin, known));
        return problems;
    }
    if (!plugin->types.empty() &&
        std::find(plugin->types.begin(), plugin->types.end(), stage.type) == plugin->types.end())
        tell("type", "the plugin '" + plugin->name + "' does not suit " +
                         std::string(toString(stage.type)));

    std::vector<std::string_view> known;
    for (const SettingSpec& spec : plugin->settings)
    {
        known.push_back(spec.name);
        const auto given = stage.with.find(spec.name);
        if (given == stage.with.end())
        {
            if (spec.required && !spec.byDefault && spec.defaultFrom.empty())
                tell("with." + spec.name, "the plugin '" + plugin->name + "' requires it");
        }
        else if (!suits(spec.kind, given->second.kind))
            tell("with." + spec.name, "expected " + std::string(describe(spec.kind)) + ", found " +
                                          std::string(describe(given->second.kind)));
    }
    for (const auto& [name, setting] : stage.with)
        if (std::find(known.begin(), known.end(), name) == known.end())
            tell("with." + name,
                 "the plugin '" + plugin->name + "' has no such setting" + suggestion(name, known));
    return problems;
}

std::string PluginRegistry::variable(const std::string& setting)
{
    std::string name = "PLUGIN_" + setting;
    for (char& c : name)
        c = std::isalnum(static_cast<unsigned char>(c)) != 0
                ? static_cast<char>(std::toupper(static_cast<unsigned char>(c)))
                : '_';
    return name;
}

bool PluginRegistry::suits(Setting::Kind declared, Setting::Kind given)
{
    return given == declared ||
           (declared == Setting::Kind::String &&
            (given == Setting::Kind::Number || given == Setting::Kind::Boolean));
}

std::string_view PluginRegistry::describe(Setting::Kind kind)
{
    switch (kind)
    {
    case Setting::Kind::String:
        return "text";
    case Setting::Kind::Number:
        return "a number";
    case Setting::Kind::Boolean:
        return "true or false";
    case Setting::Kind::List:
        return "a list";
    case Setting::Kind::Map:
        return "a map";
    }
    return "";
}

std::string PluginRegistry::placeProblem(const fs::path& path, const fs::path& within)
{
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (error)
        return "cannot be read: " + error.message();
    const fs::path root = fs::canonical(within, error);
    const auto inside = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
    if (error || inside.first != root.end())
        return "is a link that leads out of " + within.string();

    struct stat status
    {
    };
    if (::stat(real.c_str(), &status) != 0)
        return "cannot be read: " + std::generic_category().message(errno);
    if (status.st_uid != 0 && status.st_uid != ::geteuid())
        return "belongs to user " + std::to_string(status.st_uid) +
               ", neither root nor the agent's own";
    // A group of one's own, as Debian makes for each user, is not others.
    const bool foreignGroup = status.st_gid != 0 && status.st_gid != ::getegid();
    if ((status.st_mode & S_IWOTH) != 0 || (foreignGroup && (status.st_mode & S_IWGRP) != 0))
        return "can be written by others than root and the agent's user";
    return "";
}

} // namespace agent
