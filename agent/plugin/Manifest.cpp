#include "agent/plugin/Manifest.h"

#include "agent/document/DocumentValue.h"
#include "agent/model/Suggestion.h"
#include "agent/os/FolderDigest.h"
#include "agent/os/FolderIdentity.h"

#include <algorithm>
#include <array>
#include <set>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace agent
{

namespace
{

namespace fs = std::filesystem;
using Kind = Setting::Kind;

constexpr std::array<std::pair<std::string_view, Kind>, 5> kinds{{{"string", Kind::String},
                                                                  {"number", Kind::Number},
                                                                  {"boolean", Kind::Boolean},
                                                                  {"list", Kind::List},
                                                                  {"map", Kind::Map}}};

bool isName(const std::string& text, bool upperCaseToo)
{
    constexpr std::size_t most = 64;
    const auto isAlphanumeric = [&](char c)
    {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               (upperCaseToo && c >= 'A' && c <= 'Z');
    };
    return !text.empty() && text.size() <= most && isAlphanumeric(text[0]) &&
           std::all_of(text.begin(), text.end(),
                       [&](char c) { return isAlphanumeric(c) || c == '_' || c == '-'; });
}

class ManifestReader
{
public:
    ManifestReader(const fs::path& folder, std::vector<Problem>& problems)
        : _folder(fs::absolute(folder).lexically_normal()),
          _file((folder / "plugin.yaml").string()),
          _problems(problems)
    {
        if (!_folder.has_filename()) // written with a slash at its end
            _folder = _folder.parent_path();
    }

    std::optional<Plugin> read()
    {
        const std::size_t before = _problems.size();
        if (!checkPlace(_folder, "") || !checkPlace(_folder / "plugin.yaml", ""))
            return std::nullopt;
        const auto text = readText(_file, DocumentLimits{}.bytes, _problems);
        const auto node = text ? parseYaml(*text, _file, _problems) : std::nullopt;
        if (!node)
            return std::nullopt;
        Plugin plugin;
        plugin.folder = _folder;
        readKeys(DocumentValue(*node, "", _file, _problems), plugin);
        if (_problems.size() != before)
            return std::nullopt;
        plugin.identity = identityOfFolder(_folder.string());
        plugin.sha256 = digest();
        if (identityOfFolder(_folder.string()) != plugin.identity)
            plugin.identity.clear();
        if (_problems.size() != before)
            return std::nullopt;
        return plugin;
    }

private:
    void readKeys(const DocumentValue& root, Plugin& plugin)
    {
        const DocumentMap map(root, {"name", "version", "description", "types", "settings", "lists",
                                     "run", "library", "external"});
        if (root.node().kind != DocumentNode::Kind::Map)
            return;
        readName(map, plugin);
        if (const auto value = map.find("version"))
            plugin.version = value->text().value_or("");
        if (const auto value = map.find("description"))
            plugin.description = value->text().value_or("");
        if (const auto value = map.find("types"))
            readTypes(*value, plugin);
        if (const auto value = map.find("settings"))
            for (const DocumentValue& setting : value->members())
                readSetting(setting, plugin);
        readCode(map, plugin);
        if (const auto value = map.find("lists"))
            readLists(*value, plugin);
    }

    /// How a program gets its lists; a library takes them as JSON.
    static void readLists(const DocumentValue& value, Plugin& plugin)
    {
        const auto text = value.text();
        plugin.commaLists = text == "comma";
        if (text && !plugin.commaLists && text != "json")
            value.expected("json or comma");
        if (plugin.kind != Plugin::Kind::Program)
            value.problem("is for a plugin with run");
    }

    void readName(const DocumentMap& map, Plugin& plugin)
    {
        const auto value = map.require("name");
        const auto name = value ? value->text() : std::nullopt;
        if (!name)
            return;
        if (!isName(*name, false))
            value->problem("must be 1 to 64 of a-z, 0-9, '_' and '-', a letter or digit first");
        else if (*name != _folder.filename().string())
            value->problem("must be the folder's name, " + inQuotes(_folder.filename().string()));
        plugin.name = *name;
    }

    static void readTypes(const DocumentValue& value, Plugin& plugin)
    {
        static const std::vector<std::string_view> known{
            "PREPARE",          "CODE_QUALITY",   "UNIT_TEST",   "BUILD",
            "INTEGRATION_TEST", "DEPLOY_STAGING", "DEPLOY_PROD", "OTHER"};
        for (const DocumentValue& item : value.list())
        {
            const auto text = item.word();
            const auto type = text ? stageTypeFrom(*text) : std::nullopt;
            if (type)
                plugin.types.push_back(*type);
            else if (text)
                item.problem("no stage type: " + inQuotes(*text) + suggestion(*text, known));
        }
    }

    static void readSetting(const DocumentValue& value, Plugin& plugin)
    {
        const DocumentMap map(value,
                              {"type", "required", "default", "default_from", "description"});
        SettingSpec spec;
        spec.name = value.key();
        if (!isName(spec.name, true))
            value.problem("a setting's name must be 1 to 64 letters, digits, '_' and '-', "
                          "a letter or digit first");
        for (const SettingSpec& other : plugin.settings)
            if (PluginRegistry::variable(other.name) == PluginRegistry::variable(spec.name))
                value.problem("would be the same variable as '" + other.name +
                              "': " + PluginRegistry::variable(spec.name));
        if (const auto type = map.require("type"))
            readKind(*type, spec);
        if (const auto required = map.find("required"))
            spec.required = required->boolean().value_or(false);
        if (const auto description = map.find("description"))
            spec.description = description->text().value_or("");
        readDefaults(map, spec);
        plugin.settings.push_back(std::move(spec));
    }

    static void readKind(const DocumentValue& value, SettingSpec& spec)
    {
        const auto text = value.text();
        if (!text)
            return;
        std::vector<std::string_view> known;
        for (const auto& [name, kind] : kinds)
        {
            known.push_back(name);
            if (name == *text)
            {
                spec.kind = kind;
                return;
            }
        }
        value.problem("expected string, number, boolean, list or map, found " + inQuotes(*text) +
                      suggestion(*text, known));
    }

    static void readDefaults(const DocumentMap& map, SettingSpec& spec)
    {
        if (const auto value = map.find("default"))
        {
            spec.byDefault = value->setting();
            if (spec.byDefault && !PluginRegistry::suits(spec.kind, spec.byDefault->kind))
                value->expected(PluginRegistry::describe(spec.kind));
            if (spec.required)
                value->problem("a required setting has no use for a default");
        }
        if (const auto value = map.find("default_from"))
        {
            spec.defaultFrom = value->text().value_or("");
            if (spec.defaultFrom != "repository" && spec.defaultFrom != "ref")
                value->expected("repository or ref");
            if (spec.byDefault)
                value->problem("a setting has either default or default_from");
        }
    }

    void readCode(const DocumentMap& map, Plugin& plugin)
    {
        const auto run = map.find("run");
        const auto library = map.find("library");
        const auto external = map.find("external");
        if (int{run.has_value()} + int{library.has_value()} + int{external.has_value()} != 1)
            map.value().problem("needs exactly one of run, library and external");
        if (run)
        {
            plugin.kind = Plugin::Kind::Program;
            plugin.run = run->words();
            if (run->node().kind == DocumentNode::Kind::List && run->node().items.empty())
                run->problem("needs at least the program");
        }
        if (external)
        {
            plugin.kind = Plugin::Kind::External;
            if (const auto yes = external->boolean(); yes && !*yes)
                external->problem("may only be true");
        }
        if (library)
            readLibrary(*library, plugin);
    }

    void readLibrary(const DocumentValue& value, Plugin& plugin)
    {
        plugin.kind = Plugin::Kind::Library;
        const auto name = value.word();
        if (!name)
            return;
        if (name->find('/') != std::string::npos || !name->ends_with(".so") ||
            name->starts_with('.'))
        {
            value.problem("must be the plain name of a .so file in the plugin's folder");
            return;
        }
        plugin.library = _folder / *name;
        checkPlace(plugin.library, "library", value.node().line);
    }

    /// Whoever can write a plugin runs code as the agent: only root and the agent's own user may.
    bool checkPlace(const fs::path& path, const std::string& key, int line = 0)
    {
        const std::size_t before = _problems.size();
        if (const std::string message = PluginRegistry::placeProblem(path, _folder);
            !message.empty())
            _problems.push_back({.file = _file,
                                 .line = line,
                                 .key = key,
                                 .message = path.string() + " " + message});
        else if (path != _folder && !fs::is_regular_file(path))
            _problems.push_back({.file = _file,
                                 .line = line,
                                 .key = key,
                                 .message = path.string() + " is no regular file"});
        return _problems.size() == before;
    }

    std::string digest()
    try
    {
        return digestOfFolder(_folder.string());
    }
    catch (const std::runtime_error& error)
    {
        _problems.push_back({.file = _file, .line = 0, .key = {}, .message = error.what()});
        return {};
    }

    fs::path _folder;
    std::string _file;
    std::vector<Problem>& _problems;
};

} // namespace

std::optional<Plugin> readManifest(const std::filesystem::path& folder,
                                   std::vector<Problem>& problems)
{
    return ManifestReader(folder, problems).read();
}

} // namespace agent
