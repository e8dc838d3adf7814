#pragma once

#include "agent/process/Launcher.h"
#include "agent/process/ShimWatch.h"
#include "agent/run/LaunchPreparer.h"
#include "agent/run/RunningAttempt.h"
#include "agent/run/StageRunner.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// The attempts that have a shim: starts, adopts, stops and watches them. What happens to each is in
/// RunningAttempt.h.
class Executions: public StageRunner
{
public:
    explicit Executions(Launcher launcher) : _launcher(std::move(launcher)) {}

    void prepare(const std::filesystem::path& folder, const Order& order,
                 const SecretFolder& secrets) override
    {
        _preparer.begin(folder, order, secrets);
    }
    void expect(const std::filesystem::path& folder) override { _preparer.expect(folder); }
    void dropPrepared(const std::string& stageId) override { _preparer.drop(stageId); }
    void launch(const std::filesystem::path& folder, const Order& order,
                const SecretFolder& secrets) override;
    void refuse(const std::string& stageId, int attempt, Cause cause,
                const std::string& message) override;
    bool resume(const std::string& stageId, int attempt, const std::filesystem::path& folder,
                const RecordedLaunch& recorded, std::int64_t graceMs, bool stopping) override;

    /// A new held.json is noticed by itself as well, unless the host has no inotify watches left.
    void checkHeld(const std::string& stageId) override;
    void stop(const std::string& stageId, std::int64_t graceMs) override;

    /// Ends the grace that stop() gave.
    void killNow(const std::string& stageId);

    std::vector<Finished> wait(std::optional<std::int64_t> timeoutMs) override;

    [[nodiscard]] std::optional<Claim> shimOf(const std::string& stageId) const override;

    std::vector<UnkillableStage> takeUnkillable() override;
    [[nodiscard]] std::optional<UnkillableStage>
    unkillable(const std::string& stageId) const override;
    [[nodiscard]] std::vector<UnkillableStage> allUnkillable() const override;

    /// Its cgroup goes, and what a lost shim left of secrets.
    void forget(const Finished& finished) override;

    void wake() noexcept override { _watch.wake(); }

    /// What wait() waits for; descriptors may be added.
    [[nodiscard]] ShimWatch& events() { return _watch; }

    /// At a graceful end: our own part of the cgroup tree goes when no stage is in it.
    void close() override
    {
        _launcher.endSpare();
        if (_running.empty())
            _launcher.cgroup().removeTree();
    }

    [[nodiscard]] bool hasCgroup() const override { return _launcher.cgroup().available(); }
    [[nodiscard]] std::string missing(const Limits& limits) const override
    {
        return _launcher.cgroup().missing(limits);
    }

private:
    RunningAttempt& add(RunningAttempt::Start&& start);
    void watch(RunningAttempt::Start start, Shim shim);
    [[nodiscard]] RunningAttempt* find(const std::string& stageId);

    Launcher _launcher;
    LaunchPreparer _preparer{_launcher};
    bool _launched = false; ///< since the last wait(): the spare shim may be used up
    ShimWatch _watch;
    std::map<std::string, RunningAttempt> _running; ///< by stage id
    std::vector<Finished> _finished;                ///< returned by the next wait()
};

} // namespace agent
