#pragma once

#include "agent/model/Stage.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace agent
{

/// The end of a stage; each attempt has one.
struct EndedStage
{
    std::string runId;
    StageType type = StageType::Other;
    Status status = Status::Failure;
    Cause cause = Cause::Exit;
    std::optional<std::int64_t> durationMs;
};

/// How many stages ended how, and how long they took, since the daemon started: by service and type. The first
/// hundred services have their own numbers, the others share those of the name `other`: a number has an end.
class StageCounts
{
public:
    /// Upper bounds of the durations that are counted apart, in seconds; above the last one there is no bound.
    static constexpr std::array<int, 10> bounds{1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 21600};

    struct Durations
    {
        std::array<std::uint64_t, bounds.size() + 1> buckets{}; ///< each without those below it
        std::uint64_t totalMs = 0;
    };

    /// `service`: its name; empty for a pipeline of its own.
    void count(const EndedStage& stage, const std::string& service);

    using Group = std::pair<std::string, StageType>; ///< service and type
    using Ends = std::map<std::tuple<Group, Status, Cause>, std::uint64_t>;
    [[nodiscard]] const Ends& ends() const { return _ends; }
    [[nodiscard]] const std::map<Group, Durations>& durations() const { return _durations; }

private:
    static constexpr std::size_t mostServices = 100;

    std::set<std::string> _services;
    Ends _ends;
    std::map<Group, Durations> _durations;
};

} // namespace agent
