#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What the daemon and stage-cache tell each other about what a stage needs of other services: docs/artifacts.md, "What
// another service made".
namespace agent
{

namespace needs
{
constexpr const char* report = "needs.json"; ///< in the attempt's folder; empty: nothing went wrong
constexpr std::size_t reportBytes = 16'384;

// Variables of a stage that needs something, which its command does not see.
constexpr const char* planVariable = "STAGE_AGENT_NEEDS";
constexpr const char* reportVariable = "STAGE_AGENT_NEEDS_REPORT";

/// stage-cache exits with it where the command is not executed for want of them, and says why in the report.
constexpr int exitCode = 121;
} // namespace needs

/// A set that is to be copied.
struct NeededSet
{
    std::string what; ///< for people: `dist of lib (main)`
    std::string
        from; ///< for people: the run and the commit; empty: there is none, and it is optional
    std::string to;
    std::string set;    ///< folder of its contents
    std::string list;   ///< folder of its manifest
    std::string sha256; ///< of that
};

struct NeedsPlan
{
    std::string workspace;
    std::string report;
    std::vector<NeededSet> sets;
};

std::string toJson(const NeedsPlan& plan);
std::optional<NeedsPlan> needsPlanFrom(const std::string& json);

/// Why the command was not executed.
struct NeedsFailure
{
    std::string message;
    bool diskFull = false;
};

std::string toJson(const NeedsFailure& failure);
/// Errors: nothing when it is none.
std::optional<NeedsFailure> needsFailureFrom(const std::string& json);

} // namespace agent
