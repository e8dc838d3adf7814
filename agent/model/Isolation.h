#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace agent
{

/// How the processes of a stage are kept apart from the host. docs/isolation.md says what each protects.
enum class Isolation
{
    Sandbox, ///< bubblewrap: namespaces of its own, and nothing of the agent in sight
    None     ///< they are processes of the agent's user like any other
};

/// Which network a stage has.
enum class Network
{
    Host,
    None ///< a loopback interface of its own; only in a sandbox
};

/// A path of the host that a sandbox shows at the same place.
struct Bind
{
    std::string path;
    bool writable = false;

    bool operator==(const Bind&) const = default;
};

std::string_view toString(Isolation isolation); ///< `sandbox`, `none`
std::string_view toString(Network network);     ///< `host`, `none`
std::string toString(const Bind& bind);         ///< `/path`, `/path:rw`
std::optional<Isolation> isolationFrom(std::string_view text);
std::optional<Network> networkFrom(std::string_view text);

/// Reads `/path` or `/path:rw`. Returns nothing unless the path is absolute and in its shortest form: no `.`,
/// `..`, `//` or `/` at its end, and not the root.
std::optional<Bind> bindFrom(std::string_view text);

} // namespace agent
