// Whether a running stage is stuck: told to people, never acted upon. Source: docs/operating.md.
#include "agent/run/RunFlow.h"

#include "agent/wire/Order.h"

#include <algorithm>
#include <system_error>

namespace agent
{

namespace
{

/// A stage that lasts some seconds longer than usual is nothing to wake anybody for.
constexpr std::int64_t leastUnusualMs = 60'000;

/// Out of fewer runs nothing can be said of what is usual.
constexpr std::size_t leastRuns = 5;

/// A stuck stage is looked at this often: it may have gone on.
constexpr std::int64_t stuckAgainMs = 10'000;

std::string inWords(std::int64_t ms)
{
    const std::int64_t seconds = ms / 1000;
    if (seconds < 120)
        return std::to_string(seconds) + " s";
    if (seconds < 7200)
        return std::to_string(seconds / 60) + " min";
    return std::to_string(seconds / 3600) + " h " + std::to_string(seconds % 3600 / 60) + " min";
}

/// Wall clock of the last byte of the log; nothing when there is none yet.
std::optional<TimeMs> lastWritten(const std::filesystem::path& log)
{
    std::error_code error;
    const auto written = std::filesystem::last_write_time(log, error);
    if (error)
        return std::nullopt;
    using namespace std::chrono;
    return duration_cast<milliseconds>(file_clock::to_sys(written).time_since_epoch()).count();
}

/// Shape: 0 when too few runs tell.
std::int64_t median(std::vector<std::int64_t> durations)
{
    if (durations.size() < leastRuns)
        return 0;
    const auto middle = durations.begin() + static_cast<std::ptrdiff_t>(durations.size() / 2);
    std::nth_element(durations.begin(), middle, durations.end());
    return *middle;
}

} // namespace

std::int64_t RunFlow::stuckAfterMs(const Run& run, const Stage& stage)
{
    const auto byType = _options.stuckAfterByType.find(stage.type);
    return specOf(run, stage)
        .stuckAfterMs.value_or(byType != _options.stuckAfterByType.end() ? byType->second
                                                                         : _options.stuckAfterMs);
}

void RunFlow::watchForStuck(Batch& batch, const Run& run, const Stage& stage)
{
    if (const std::int64_t after = stuckAfterMs(run, stage); after > 0)
        armLook(batch, stage, std::min(after, leastUnusualMs));
}

void RunFlow::armLook(Batch& batch, const Stage& stage, std::int64_t delayMs)
{
    batch.afterCommit.push_back([this, delayMs, id = stage.id, attempt = stage.attempt]
                                { _hooks.timer(delayMs, id, attempt); });
}

void RunFlow::tellStuck(Batch& batch, Stage& stage, const std::string& why)
{
    stage.stuckSince = nowMs();
    stage.stuckWhy = why;
    batch.runs.update(stage);
    note(batch, stage, stage.status, self, "stuck: " + stage.stuckWhy);
    batch.counted.push_back([this] { ++counts.stuck; });
}

void RunFlow::cantEnd(Batch& batch, const Undying& undying)
{
    auto stage = batch.runs.stage(undying.stageId);
    if (!stage || stage->status != Status::InProgress || stage->attempt != undying.attempt)
        return;
    std::string why = undying.processes;
    if (stage->intent != Intent::None)
        why = "asked to end by " + stage->intentActor + "; " + why;
    else if (undying.ending)
        why = "to end with " + std::string(toString(*undying.ending)) + "; " + why;
    // A new daemon finds what the last one had told.
    if (!stage->stuckSince || stage->stuckWhy != why)
        tellStuck(batch, *stage, why);
}

void RunFlow::lookWhetherStuck(Batch& batch, const Run& run, Stage& stage)
{
    _executions.lookWhetherHeld(stage.id);
    const std::int64_t after = stuckAfterMs(run, stage);
    const TimeMs now = nowMs();
    const TimeMs started = *stage.startedAt;
    const TimeMs spoke = std::max(
        started, lastWritten(_state.attempt(stage, stage.attempt) / files::log).value_or(started));
    const std::int64_t usual = median(batch.runs.recentDurations(run.serviceId, stage.name));
    const std::int64_t most = std::max(3 * usual, std::min(after, leastUnusualMs));

    const bool silent = now - spoke >= after;
    const bool slow = usual > 0 && now - started >= most;
    if (silent || slow)
    {
        if (!stage.stuckSince)
            tellStuck(batch, stage,
                      silent ? "no output for " + inWords(now - spoke)
                             : "runs for " + inWords(now - started) + ", usually " +
                                   (usual < 1000 ? "less than 1 s" : inWords(usual)));
        return armLook(batch, stage, stuckAgainMs);
    }
    if (_executions.undying(stage.id))
        return armLook(batch, stage, stuckAgainMs);
    if (stage.stuckSince)
    {
        stage.clearStuck();
        batch.runs.update(stage);
        note(batch, stage, stage.status, self, "no longer stuck: it prints again");
    }
    std::int64_t next = spoke + after - now;
    if (usual > 0)
        next = std::min(next, started + most - now);
    armLook(batch, stage, std::max<std::int64_t>(next, 1000));
}

} // namespace agent
