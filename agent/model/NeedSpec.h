#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace agent
{

/// What a stage needs of another service: the newest artifacts of a branch. Source: docs/artifacts.md, "What another service
/// made".
struct NeedSpec
{
    std::string service;
    std::string branch;    ///< empty: that of the service's file
    std::string artifacts; ///< their name
    std::string to;        ///< folder of the workspace
    bool optional = false; ///< the stage runs without them too

    bool operator==(const NeedSpec&) const = default;
};

namespace needBounds
{
inline constexpr std::size_t needs = 8;   ///< of a stage
inline constexpr std::size_t path = 1024; ///< bytes of `to`
} // namespace needBounds

/// Returns what is wrong with `to`; empty: nothing.
std::string needPathProblem(std::string_view text);

/// Whether one of the two folders is the other, or in it.
bool overlap(std::string_view one, std::string_view other);

} // namespace agent
