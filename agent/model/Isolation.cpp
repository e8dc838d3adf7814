#include "agent/model/Isolation.h"

#include <filesystem>

namespace agent
{

namespace
{

constexpr std::string_view writableEnd = ":rw";

} // namespace

std::string_view toString(Isolation isolation)
{
    return isolation == Isolation::Sandbox ? "sandbox" : "none";
}

std::string_view toString(Network network)
{
    return network == Network::Host ? "host" : "none";
}

std::string toString(const Bind& bind)
{
    return bind.writable ? bind.path + std::string(writableEnd) : bind.path;
}

std::optional<Isolation> isolationFrom(std::string_view text)
{
    for (const Isolation one : {Isolation::Sandbox, Isolation::None})
        if (text == toString(one))
            return one;
    return std::nullopt;
}

std::optional<Network> networkFrom(std::string_view text)
{
    for (const Network one : {Network::Host, Network::None})
        if (text == toString(one))
            return one;
    return std::nullopt;
}

std::optional<Bind> bindFrom(std::string_view text)
{
    const bool writable = text.ends_with(writableEnd);
    if (writable)
        text.remove_suffix(writableEnd.size());
    const std::filesystem::path path(text);
    const bool shortest = path.lexically_normal().string() == text && path.has_filename();
    if (!path.is_absolute() || !shortest || text.starts_with("//") ||
        text.find('\0') != std::string_view::npos)
        return std::nullopt;
    return Bind{.path = std::string(text), .writable = writable};
}

} // namespace agent
