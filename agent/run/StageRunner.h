#pragma once

#include "agent/run/SecretFolder.h"
#include "agent/run/UnkillableStage.h"
#include "agent/wire/Order.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// How an attempt ended, whoever found out.
struct Finished
{
    std::string stageId;
    int attempt = 0;
    Outcome outcome;
    std::optional<std::string> limitsMissing; ///< limits that nothing enforced, where known
    bool rebooted = false;        ///< it was asked to end, and the host was restarted since
    std::filesystem::path folder; ///< empty: it was refused
    std::string cgroup;           ///< its own; empty: none
};

/// What the record knows of the launch of an attempt.
struct RecordedLaunch
{
    std::string bootId;         ///< empty: launched by a daemon that did not record it
    Seal seal;                  ///< none: by one that had none
    std::int64_t timeoutMs = 0; ///< of the stage; 0: none
    std::optional<Claim> shim;  ///< none: it is not on record
};

/// What launches, watches, stops and adopts stages: the seam between the rules of the engine and
/// processes. Executions does it with shims; tests have one in memory (tests/support/MemoryRunner.h).
/// Each attempt that was launched, refused or adopted ends exactly once, in wait().
/// Threads: the engine's, but for wake().
class StageRunner
{
public:
    virtual ~StageRunner() = default;

    /// Begins to make what launch() will need of files, while the caller commits that the attempt runs.
    /// Executes nothing of it.
    virtual void prepare(const std::filesystem::path& folder, const Order& order,
                         const SecretFolder& secrets) = 0;

    /// Makes the folder of an attempt that is likely to be the next one, without waiting for it. It means nothing
    /// that it is there, and nothing when it can't be made.
    virtual void expect(const std::filesystem::path& folder) = 0;

    /// Takes prepare() back: there will be no launch.
    virtual void dropPrepared(const std::string& stageId) = 0;

    /// Starts the attempt in `folder`, prepared or not. A failure to start is an end as any other.
    virtual void launch(const std::filesystem::path& folder, const Order& order,
                        const SecretFolder& secrets) = 0;

    /// Ends an attempt that could not even be launched.
    virtual void refuse(const std::string& stageId, int attempt, Cause cause,
                        const std::string& message) = 0;

    /// Adopts an attempt that the record calls running; one that is to be stopped is asked to end.
    /// Returns false when nothing of it was ever executed: launch it.
    virtual bool resume(const std::string& stageId, int attempt,
                        const std::filesystem::path& folder, const RecordedLaunch& recorded,
                        std::int64_t graceMs, bool stopping) = 0;

    /// Asks the stage to end; after `graceMs` its processes are killed. Nothing happens where it has
    /// ended already.
    virtual void stop(const std::string& stageId, std::int64_t graceMs) = 0;

    /// Checks whether the stage can't be killed; takeUnkillable() returns it then.
    virtual void checkHeld(const std::string& stageId) = 0;

    /// Blocks until an attempt ended, wake() was called or `timeoutMs` passed (none: for ever).
    virtual std::vector<Finished> wait(std::optional<std::int64_t> timeoutMs) = 0;

    /// Returns what is known of the shim of a running stage.
    [[nodiscard]] virtual std::optional<Claim> shimOf(const std::string& stageId) const = 0;

    /// Returns those found since the last call.
    virtual std::vector<UnkillableStage> takeUnkillable() = 0;

    /// Returns what is known of the stage when it can't be killed now.
    [[nodiscard]] virtual std::optional<UnkillableStage>
    unkillable(const std::string& stageId) const = 0;

    [[nodiscard]] virtual std::vector<UnkillableStage> allUnkillable() const = 0;

    /// Releases what is left of an attempt whose end is on record.
    virtual void forget(const Finished& finished) = 0;

    /// Ends a wait(). Threads: any.
    virtual void wake() noexcept = 0;

    /// Releases what is shared by all stages, where none runs any more.
    virtual void close() = 0;

    /// Whether stages get a cgroup of their own.
    [[nodiscard]] virtual bool hasCgroup() const = 0;

    /// Returns the names of those of `limits` that nothing enforces, comma-separated.
    [[nodiscard]] virtual std::string missing(const Limits& limits) const = 0;
};

} // namespace agent
