#include "agent/shim/PluginCheck.h"

#include "agent/os/FolderDigest.h"
#include "agent/os/FolderIdentity.h"

#include <stdexcept>

namespace agent
{

bool pluginIsProved(const Order& order)
{
    if (order.pluginFolder.empty() || order.pluginSha256.empty())
        return true;
    // To read a large plugin takes longer than to start it.
    return !order.pluginIdentity.empty() &&
           identityOfFolder(order.pluginFolder) == order.pluginIdentity;
}

std::string problemOfPlugin(const Order& order)
try
{
    const std::string now = digestOfFolder(order.pluginFolder);
    if (now == order.pluginSha256)
        return {};
    return "the plugin " + order.plugin + " (" + order.pluginFolder +
           ") was changed since the agent loaded it: its SHA-256 is " + now + ", and was " +
           order.pluginSha256 + "; if that is meant, reload the agent (SIGHUP)";
}
catch (const std::runtime_error& error)
{
    return "the plugin " + order.plugin + " can't be checked: " + error.what();
}

} // namespace agent
