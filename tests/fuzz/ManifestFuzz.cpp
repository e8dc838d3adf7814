// Manifests of plugins: one without a problem has a name and something to run.
#include "agent/plugin/Manifest.h"
#include "tests/fuzz/FuzzFolder.h"

using fuzzed::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const fuzzed::Folder folder;
    static_cast<void>(folder.write("plugin.yaml", fuzzed::textOf(data, size)));
    std::vector<agent::Problem> problems;
    const auto plugin = agent::readManifest(folder.path(), problems);
    require(plugin.has_value() == problems.empty());
    if (!plugin)
        return 0;
    require(!plugin->name.empty());
    require((plugin->kind == agent::Plugin::Kind::Program) == !plugin->run.empty());
    for (const auto& setting : plugin->settings)
        require(!agent::PluginRegistry::variable(setting.name).empty());
    require(plugin->argv({{"PLUGIN_A", "x"}}).size() == plugin->run.size());
    return 0;
}
