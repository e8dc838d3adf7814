#include "agent/shim/OrderFile.h"

#include "agent/os/RegularFile.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

namespace agent
{
namespace
{

constexpr std::size_t mostBytes = 16UL << 20;

} // namespace

std::string readOrder(const std::string& folder, const Seal& seal, Order& order)
{
    const auto unreadable = [](int error)
    { return std::string("cannot read order.json: ") + std::strerror(error); };
    std::optional<std::string> json;
    try
    {
        json = readRegularFile(folder + "/" + files::order, mostBytes);
    }
    catch (const std::system_error& error)
    {
        return unreadable(error.code().value());
    }
    if (!json)
        return unreadable(ENOENT);
    std::string why;
    auto found = orderFrom(*json, &why);
    if (!found)
        return why;
    if (!seal.proves(files::order, *json))
        return "order.json was changed by another process than the agent";
    order = std::move(*found);
    return {};
}

} // namespace agent
