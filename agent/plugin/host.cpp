// stage-plugin-host LIBRARY.so CACHE_FOLDER: runs a stage's C++ plugin. The shim starts it, so that a
// plugin that crashes ends its own stage and nothing else.
// stage-plugin-host --check LIBRARY.so: only loads it. stage-plugin-host --version: prints the version.
// Exit: 0 the stage passed; 1 the plugin says that it failed; 120 the plugin could not do its work.
#include "agent/model/Utf8.h"
#include "agent/plugin/StagePlugin.h"

#include <Poco/ClassLoader.h>
#include <Poco/Exception.h>
#include <Poco/SharedLibrary.h>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <unistd.h>

using agent::isUtf8;
using agent::v1::Result;
using agent::v1::StageContext;
using agent::v1::StagePlugin;

namespace
{

constexpr int pluginError = 120;
bool pluginReturned = false;

/// Errors: std::runtime_error when the library isn't built against this contract.
void checkAbi(const std::string& path)
{
    // Local: nothing of a library that is refused may answer for a name of another one.
    Poco::SharedLibrary library(path, Poco::SharedLibrary::SHLIB_LOCAL);
    if (!library.hasSymbol("stage_agent_plugin_abi"))
        throw std::runtime_error("not a stage plugin: no STAGE_AGENT_PLUGIN in it");
    using Abi = int (*)();
    const int abi = reinterpret_cast<Abi>(library.getSymbol("stage_agent_plugin_abi"))();
    if (abi != agent::v1::abi)
        throw std::runtime_error("built for plugin ABI " + std::to_string(abi) +
                                 ", this agent has ABI " + std::to_string(agent::v1::abi) +
                                 ": build it again with this agent's StagePlugin.h");
}

const Poco::ClassLoader<StagePlugin>::Meta& onlyClass(const Poco::ClassLoader<StagePlugin>& loader,
                                                      const std::string& path)
{
    const auto& manifest = loader.manifestFor(path);
    if (manifest.size() != 1)
        throw std::runtime_error("a library holds exactly one plugin class, this one " +
                                 std::to_string(manifest.size()));
    return **manifest.begin();
}

std::string toJson(const std::map<std::string, std::string>& outputs)
{
    rapidjson::StringBuffer text;
    rapidjson::Writer writer(text);
    writer.StartObject();
    for (const auto& [name, value] : outputs)
    {
        if (!isUtf8(name) || !isUtf8(value))
            throw std::runtime_error("output '" + name + "' is not UTF-8");
        for (const std::string& part : {name, value})
            writer.String(part.data(), static_cast<rapidjson::SizeType>(part.size()));
    }
    writer.EndObject();
    return {text.GetString(), text.GetSize()};
}

/// In place: in a sandbox the file is all that can be written of its folder. It is read when the stage has ended.
void writeOutputs(const std::map<std::string, std::string>& outputs)
{
    const std::string target = StageContext::variable("STAGE_OUTPUTS");
    if (target.empty() || outputs.empty())
        return;
    std::ofstream file(target, std::ios::binary | std::ios::trunc);
    file << toJson(outputs);
    file.close();
    if (!file)
        throw std::runtime_error("can't write " + target + ": " + std::strerror(errno));
}

const Poco::ClassLoader<StagePlugin>::Meta& load(const std::string& path)
{
    checkAbi(path);
    // Never unloaded: a plugin's threads and its objects' code may still be in use at exit.
    static Poco::ClassLoader<StagePlugin> loader;
    loader.loadLibrary(path);
    return onlyClass(loader, path);
}

Result runPlugin(const std::string& path, const std::filesystem::path& cache)
{
    const auto& plugin = load(path);

    std::filesystem::create_directories(cache);
    std::map<std::string, std::string> outputs;
    const StageContext context{
        .workspace = StageContext::variable("WORKSPACE"), .cache = cache, .outputs = outputs};
    Result result = std::unique_ptr<StagePlugin>(plugin.create())->run(context);
    writeOutputs(outputs);
    return result;
}

/// A plugin that calls exit() has returned no result; its exit code must not be taken for one.
void refuseEarlyExit()
{
    if (pluginReturned)
        return;
    std::cout << std::flush;
    std::cerr << "stage-plugin-host: the plugin called exit() instead of returning a result"
              << std::endl;
    _exit(pluginError);
}

int broken(const std::string& library, const std::string& why)
{
    pluginReturned = true;
    std::cout << std::flush;
    std::cerr << "stage-plugin-host: " << library << ": " << why << std::endl;
    return pluginError;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 2 && std::string_view(argv[1]) == "--version")
    {
        std::cout << "stage-plugin-host " STAGE_AGENT_VERSION << std::endl;
        return 0;
    }
    if (argc != 3)
    {
        std::cerr << "usage: stage-plugin-host LIBRARY.so CACHE_FOLDER" << std::endl;
        return pluginError;
    }
    std::atexit(refuseEarlyExit);
    const bool check = std::string_view(argv[1]) == "--check";
    const std::string library = argv[check ? 2 : 1];
    try
    {
        // Absolute, because the loader looks up a name without a slash in the system's folders.
        if (check)
        {
            load(std::filesystem::absolute(library).string());
            pluginReturned = true;
            return 0;
        }
        const Result result = runPlugin(std::filesystem::absolute(library).string(),
                                        std::filesystem::absolute(argv[2]));
        pluginReturned = true;
        std::cout << std::flush;
        if (!result.succeeded())
            std::cerr << result.message() << std::endl;
        return result.succeeded() ? 0 : 1;
    }
    catch (const Poco::Exception& e) // first: its what() lacks the text
    {
        return broken(library, e.displayText());
    }
    catch (const std::exception& e)
    {
        return broken(library, e.what());
    }
    catch (...)
    {
        return broken(library, "an exception that is no std::exception");
    }
}
