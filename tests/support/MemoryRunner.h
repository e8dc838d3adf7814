#pragma once

#include "agent/run/StageRunner.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// Stages without processes: an attempt runs until the test ends it or the engine stops it. Survives the
/// engine, as shims do: what runs is adopted by the next one.
/// Threads: any.
class MemoryRunner: public StageRunner
{
public:
    // What a test does.

    /// Ends a running stage: by exit code, or by another cause.
    void exit(const std::string& stageId, int code)
    {
        end(stageId, {.cause = Cause::Exit, .exitCode = code});
    }

    void end(const std::string& stageId, Outcome outcome)
    {
        const std::lock_guard lock(_mutex);
        finish(stageId, std::move(outcome));
    }

    /// From now on each stage ends well as soon as it was launched.
    void endAtOnce() { set(_endAtOnce, true); }

    /// From now on stages don't end when they are stopped.
    void survive() { set(_survives, true); }

    /// A stage that was stopped can't be killed: reported once.
    void reportUnkillable(const std::string& stageId)
    {
        const std::lock_guard lock(_mutex);
        const UnkillableStage stage{.stageId = stageId,
                                    .attempt = _running.at(stageId),
                                    .processes = "1 process can't be ended: 7 (cp) is in state D",
                                    .since = nowMs()};
        _unkillable.emplace(stageId, stage);
        _newUnkillable.push_back(stage);
        _changed.notify_all();
    }

    [[nodiscard]] bool runs(const std::string& stageId) const
    {
        const std::lock_guard lock(_mutex);
        return _running.contains(stageId);
    }

    [[nodiscard]] int launches() const
    {
        const std::lock_guard lock(_mutex);
        return _launches;
    }

    /// Whether the stage was prepared and neither launched nor dropped since.
    [[nodiscard]] bool prepared(const std::string& stageId) const
    {
        const std::lock_guard lock(_mutex);
        return _prepared.contains(stageId);
    }

    /// The folders of attempts that were likely to come.
    [[nodiscard]] std::set<std::string> expected() const
    {
        const std::lock_guard lock(_mutex);
        return _expected;
    }

    /// The environment of the last attempt that was launched of the stage.
    [[nodiscard]] std::map<std::string, std::string> environment(const std::string& stageId) const
    {
        const std::lock_guard lock(_mutex);
        const auto found = _environments.find(stageId);
        return found == _environments.end() ? std::map<std::string, std::string>() : found->second;
    }

    // What the engine does.

    void expect(const std::filesystem::path& folder) override
    {
        const std::lock_guard lock(_mutex);
        _expected.insert(folder.string());
    }

    void prepare(const std::filesystem::path&, const Order& order, const SecretFolder&) override
    {
        const std::lock_guard lock(_mutex);
        _prepared.insert(order.stageId);
    }

    void dropPrepared(const std::string& stageId) override
    {
        const std::lock_guard lock(_mutex);
        _prepared.erase(stageId);
    }

    void launch(const std::filesystem::path&, const Order& order, const SecretFolder&) override
    {
        const std::lock_guard lock(_mutex);
        ++_launches;
        _prepared.erase(order.stageId);
        _running[order.stageId] = order.attempt;
        _environments[order.stageId] = {order.env.begin(), order.env.end()};
        if (_endAtOnce)
            finish(order.stageId, {.cause = Cause::Exit, .exitCode = 0});
        _changed.notify_all();
    }

    void refuse(const std::string& stageId, int attempt, Cause cause,
                const std::string& message) override
    {
        const std::lock_guard lock(_mutex);
        _running[stageId] = attempt;
        finish(stageId, {.cause = cause, .message = message});
    }

    bool resume(const std::string& stageId, int, const std::filesystem::path&,
                const RecordedLaunch&, std::int64_t, bool stopping) override
    {
        const std::lock_guard lock(_mutex);
        if (!_running.contains(stageId))
            return false;
        if (stopping && !_survives)
            finish(stageId, {.cause = Cause::Stopped});
        return true;
    }

    void stop(const std::string& stageId, std::int64_t) override
    {
        const std::lock_guard lock(_mutex);
        if (!_survives)
            finish(stageId, {.cause = Cause::Stopped});
    }

    void checkHeld(const std::string&) override {}

    std::vector<Finished> wait(std::optional<std::int64_t> timeoutMs) override
    {
        std::unique_lock lock(_mutex);
        const auto ready = [this]
        { return _awake || !_finished.empty() || !_newUnkillable.empty(); };
        if (timeoutMs)
            _changed.wait_for(lock, std::chrono::milliseconds(*timeoutMs), ready);
        else
            _changed.wait(lock, ready);
        _awake = false;
        return std::exchange(_finished, {});
    }

    std::vector<UnkillableStage> takeUnkillable() override
    {
        const std::lock_guard lock(_mutex);
        return std::exchange(_newUnkillable, {});
    }

    [[nodiscard]] std::optional<Claim> shimOf(const std::string&) const override { return {}; }

    [[nodiscard]] std::optional<UnkillableStage>
    unkillable(const std::string& stageId) const override
    {
        const std::lock_guard lock(_mutex);
        const auto found = _unkillable.find(stageId);
        return found == _unkillable.end() ? std::nullopt : std::optional(found->second);
    }

    [[nodiscard]] std::vector<UnkillableStage> allUnkillable() const override
    {
        const std::lock_guard lock(_mutex);
        std::vector<UnkillableStage> all;
        for (const auto& [id, stage] : _unkillable)
            all.push_back(stage);
        return all;
    }

    void forget(const Finished&) override {}

    void wake() noexcept override
    {
        const std::lock_guard lock(_mutex);
        _awake = true;
        _changed.notify_all();
    }

    void close() override {}
    [[nodiscard]] bool hasCgroup() const override { return false; }
    [[nodiscard]] std::string missing(const Limits&) const override { return ""; }

private:
    void set(bool& flag, bool value)
    {
        const std::lock_guard lock(_mutex);
        flag = value;
    }

    /// Nothing happens where it has ended already.
    void finish(const std::string& stageId, Outcome outcome)
    {
        const auto found = _running.find(stageId);
        if (found == _running.end())
            return;
        outcome.startedAt = outcome.endedAt = nowMs();
        _finished.push_back({.stageId = stageId, .attempt = found->second, .outcome = outcome});
        _running.erase(found);
        _unkillable.erase(stageId);
        _changed.notify_all();
    }

    mutable std::mutex _mutex; // guards what follows
    std::condition_variable _changed;
    std::map<std::string, int> _running; ///< attempts by stage id
    std::map<std::string, UnkillableStage> _unkillable;
    std::map<std::string, std::map<std::string, std::string>> _environments; ///< likewise
    std::vector<Finished> _finished;
    std::vector<UnkillableStage> _newUnkillable;
    bool _awake = false;
    bool _endAtOnce = false;
    bool _survives = false;
    int _launches = 0;
    std::set<std::string> _prepared;
    std::set<std::string> _expected;
};

} // namespace agent
