#include "agent/run/StuckWatch.h"

#include "agent/wire/Order.h"

#include <algorithm>
#include <system_error>

namespace agent
{

namespace
{

/// A stage that takes some seconds longer than usual is not worth an alarm.
constexpr std::int64_t leastUnusualMs = 60'000;

/// Fewer runs say nothing about what is usual.
constexpr std::size_t leastRuns = 5;

/// A stuck stage is checked this often: it may have gone on.
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

/// Returns the wall clock of the last byte of the log; nothing when there is none yet.
std::optional<TimeMs> lastWritten(const std::filesystem::path& log)
{
    std::error_code error;
    const auto written = std::filesystem::last_write_time(log, error);
    if (error)
        return std::nullopt;
    using namespace std::chrono;
    return duration_cast<milliseconds>(file_clock::to_sys(written).time_since_epoch()).count();
}

/// Returns 0 when there are too few.
std::int64_t median(std::vector<std::int64_t> durations)
{
    if (durations.size() < leastRuns)
        return 0;
    const auto middle = durations.begin() + static_cast<std::ptrdiff_t>(durations.size() / 2);
    std::nth_element(durations.begin(), middle, durations.end());
    return *middle;
}

} // namespace

void StuckWatch::watch(Batch& batch, const Run& run, const Stage& stage)
{
    if (const std::int64_t after = _specs.stuckAfterMs(run, stage); after > 0)
        checkIn(batch, stage, std::min(after, leastUnusualMs));
}

void StuckWatch::checkIn(Batch& batch, const Stage& stage, std::int64_t delayMs)
{
    batch.afterCommit.push_back(
        [this, delayMs, id = stage.id, attempt = stage.attempt] {
            _timers.set({TimerKind::StuckCheck, id, attempt}, delayMs);
        });
}

void StuckWatch::report(Batch& batch, Stage& stage, const std::string& why)
{
    stage.stuckSince = nowMs();
    stage.stuckWhy = why;
    batch.runs.update(stage);
    _writer.stageChanged(batch, stage, stage.status, agentActor, "stuck: " + stage.stuckWhy);
    ++batch.stuckStages;
}

void StuckWatch::unkillable(Batch& batch, const UnkillableStage& found)
{
    auto stage = batch.runs.stage(found.stageId);
    if (!stage || stage->status != Status::InProgress || stage->attempt != found.attempt)
        return;
    std::string why = found.processes;
    if (stage->intent != Intent::None)
        why = "asked to end by " + stage->intentActor + "; " + why;
    else if (found.ending)
        why = "to end with " + std::string(toString(*found.ending)) + "; " + why;
    // A new daemon finds what the last one had reported.
    if (!stage->stuckSince || stage->stuckWhy != why)
        report(batch, *stage, why);
}

void StuckWatch::check(Batch& batch, const Run& run, Stage& stage)
{
    _runner.checkHeld(stage.id);
    const std::int64_t after = _specs.stuckAfterMs(run, stage);
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
            report(batch, stage,
                   silent ? "no output for " + inWords(now - spoke)
                          : "runs for " + inWords(now - started) + ", usually " +
                                (usual < 1000 ? "less than 1 s" : inWords(usual)));
        return checkIn(batch, stage, stuckAgainMs);
    }
    if (_runner.unkillable(stage.id))
        return checkIn(batch, stage, stuckAgainMs);
    if (stage.stuckSince)
    {
        stage.clearStuck();
        batch.runs.update(stage);
        _writer.stageChanged(batch, stage, stage.status, agentActor,
                             "no longer stuck: it prints again");
    }
    std::int64_t next = spoke + after - now;
    if (usual > 0)
        next = std::min(next, started + most - now);
    // Soon enough that "no output for 1 s" is reported after 1 s, not after the second look a second later.
    checkIn(batch, stage, std::max<std::int64_t>(next, 10));
}

} // namespace agent
