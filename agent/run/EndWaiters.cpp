#include "agent/run/EndWaiters.h"

#include <utility>
#include <vector>

namespace agent
{

Declined EndWaiters::processesRemain(const UnkillableStage& stage)
{
    return Declined::conflict(
        "processes_remain",
        stage.processes +
            ". The stage is IN_PROGRESS and keeps its slot until they are gone; what was decided "
            "first is carried out then. Put right what they wait for");
}

void EndWaiters::add(Batch& batch, const std::string& stageId, Waiter waiter)
{
    constexpr std::size_t atMost = 16;
    if (_waiters.size() + batch.waiting++ >= atMost)
        throw Declined::unavailable("too_many_waiting",
                                    "too many requests wait for stages to end; try again");
    batch.afterCommit.push_back(
        [this, stageId, waiter = std::move(waiter)]() mutable
        {
            if (const auto known = _runner.unkillable(stageId))
                return waiter(nullptr, std::make_exception_ptr(processesRemain(*known)));
            _waiters.emplace(stageId, std::move(waiter));
        });
}

void EndWaiters::unkillable(const UnkillableStage& stage)
{
    call(stage.stageId, nullptr, std::make_exception_ptr(processesRemain(stage)));
}

void EndWaiters::refuseAll(const std::exception_ptr& error)
{
    for (auto& [stageId, waiter] : std::exchange(_waiters, {}))
        waiter(nullptr, error);
}

void EndWaiters::call(const std::string& stageId, const RecordedEnd* end,
                      const std::exception_ptr& error)
{
    const auto [first, last] = _waiters.equal_range(stageId);
    std::vector<Waiter> waiting;
    for (auto waiter = first; waiter != last; ++waiter)
        waiting.push_back(std::move(waiter->second));
    _waiters.erase(first, last);
    for (const auto& waiter : waiting)
        waiter(end, error);
}

} // namespace agent
