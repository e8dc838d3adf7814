#pragma once

#include "agent/process/Launcher.h"
#include "agent/process/ShimWatch.h"
#include "agent/run/LaunchPreparer.h"
#include "agent/run/StageRunner.h"

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// The attempts that have a shim. Starts, stops and watches them, and turns every way in which one can
/// be gone into an Outcome, so that the engine knows one kind of end.
class Executions: public StageRunner
{
public:
    explicit Executions(Launcher launcher) : _launcher(std::move(launcher)) {}

    void prepare(const std::filesystem::path& folder, const Order& order,
                 const std::filesystem::path& secretsDir) override
    {
        _preparer.begin(folder, order, secretsDir);
    }
    void dropPrepared(const std::string& stageId) override { _preparer.drop(stageId); }

    void launch(const std::filesystem::path& folder, const Order& order,
                const std::filesystem::path& secretsDir) override;
    void refuse(const std::string& stageId, int attempt, Cause cause,
                const std::string& message) override;
    bool resume(const std::string& stageId, int attempt, const std::filesystem::path& folder,
                const std::string& bootId, std::int64_t graceMs, bool stopping) override;

    /// Reads what the shim says in held.json. A new one is noticed by itself as well, unless the host has
    /// no inotify watches left.
    void checkHeld(const std::string& stageId) override;

    /// A shim that has not ended its stage within `graceMs` and some seconds is killed, and what it left
    /// with it; unless the kernel holds every process that is left: the stage is unkillable then, and its
    /// end is reported as any other once they are gone.
    void stop(const std::string& stageId, std::int64_t graceMs) override;

    /// Ends the grace that stop() gave: all of the stage's processes are killed, and again until they are
    /// gone. Its shim stays, to report the end.
    void killNow(const std::string& stageId);

    std::vector<Finished> wait(std::optional<std::int64_t> timeoutMs) override;

    std::vector<UnkillableStage> takeUnkillable() override
    {
        return std::exchange(_unkillable, {});
    }

    [[nodiscard]] std::optional<UnkillableStage>
    unkillable(const std::string& stageId) const override;

    [[nodiscard]] std::vector<UnkillableStage> allUnkillable() const override;

    /// Forgets an attempt whose end is on record: its cgroup goes, and what a lost shim left of secrets.
    void forget(const std::filesystem::path& folder) override;

    void wake() noexcept override { _watch.wake(); }

    /// What wait() waits for; descriptors may be added.
    [[nodiscard]] ShimWatch& events() { return _watch; }

    /// At a graceful end: our own part of the cgroup tree goes when no stage is in it.
    void close() override
    {
        _launcher.endSpare();
        if (_live.empty())
            _launcher.cgroup().removeTree();
    }

    [[nodiscard]] bool hasCgroup() const override { return _launcher.cgroup().available(); }
    [[nodiscard]] std::string missing(const Limits& limits) const override
    {
        return _launcher.cgroup().missing(limits);
    }

private:
    struct Live
    {
        int attempt = 0;
        std::filesystem::path folder;
        std::string bootId; ///< of its launch, as the record has it
        std::int64_t graceMs = 0;
        std::int64_t killAtMs = 0; ///< monotonic; 0: nobody asked it to stop
        std::int64_t killNextMs =
            0; ///< monotonic; its processes are killed until none is there; 0: no
        std::int64_t heldLookMs = 0; ///< monotonic; when to look what its shim says of it; 0: not
        std::int64_t heldSeenMs = 0; ///< monotonic; when we looked last
        std::optional<Claim> claim;  ///< of a lost shim
        std::string why;             ///< how it was lost, where that is known
        std::optional<std::string> limitsMissing;
        std::int64_t sweepUntilMs =
            0; ///< monotonic; its shim is lost and we end what is left; 0: no
        std::optional<UnkillableStage> unkillable;
    };

    void watch(const std::string& stageId, Shim shim);
    void ended(const std::string& stageId);
    void lose(const std::string& stageId, const std::string& why);
    void sweep(const std::string& stageId, Live& live);
    void killProcesses(const std::string& stageId, Live& live);
    void killShim(const std::string& stageId, Live& live);
    void reportUnkillable(const std::string& stageId, Live& live,
                          const std::vector<ProcessInfo>& processes,
                          const std::optional<Held>& held = std::nullopt);
    void finish(const std::string& stageId, const Outcome& outcome, bool rebooted = false);
    void finishWithoutOutcome(const std::string& stageId, Cause cause,
                              const std::optional<Claim>& claim, const std::string& message);
    [[nodiscard]] std::optional<std::int64_t> nextTimer() const;

    Launcher _launcher;
    LaunchPreparer _preparer{_launcher};
    bool _launched = false; ///< since the last wait(): the spare shim may be used up
    ShimWatch _watch;
    std::map<std::string, Live> _live;        ///< by stage id
    std::vector<Finished> _finished;          ///< told by the next wait()
    std::vector<UnkillableStage> _unkillable; ///< told by the next takeUnkillable()
};

} // namespace agent
