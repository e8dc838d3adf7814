// What a target gets no more: reports that are too old, or too many.
#include "agent/outbox/TargetWorker.h"
#include "agent/store/OutboxStore.h"

#include <algorithm>

namespace agent
{

namespace
{

constexpr std::int64_t lookForOldEveryMs = 60'000;
constexpr std::int64_t lookForSurplusEveryMs = 10'000;
constexpr std::int64_t mostSurplusAtOnce = 10'000; ///< the rest ten seconds later
constexpr std::size_t readAtOnce = 500;

} // namespace

void TargetWorker::dropOld()
{
    if (_parts.keepMs == 0 || steadyMs() - _oldLookedAt < lookForOldEveryMs)
        return;
    _oldLookedAt = steadyMs();
    std::vector<TargetQueue::Entry> old;
    {
        const std::lock_guard lock(_mutex);
        old = _queue.take(
            [&, before = nowMs() - _parts.keepMs](const TargetQueue::Entry& entry)
            {
                if (entry.lane == entry.runId)
                    return entry.at < before;
                const auto log = _logs.find(entry.seq); // as old as its last piece
                return log != _logs.end() && log->second.confirmedAt() < before;
            });
        _status.dropped += old.size();
    }
    if (old.empty())
        return;
    _parts.log(std::to_string(old.size()) + " reports for " + _target.name +
               " are older than outbox.keep: dropped");
    for (const auto& entry : old)
    {
        _logs.erase(entry.seq);
        remember(entry.seq);
    }
}

/// Drops the oldest reports of too many. Errors: those of the record; the rest is dropped later.
void TargetWorker::dropSurplus()
{
    if (_parts.most == 0 || steadyMs() - _surplusLookedAt < lookForSurplusEveryMs || !recordDone())
        return;
    _surplusLookedAt = steadyMs();
    auto reader = _parts.database.reader();
    OutboxStore store(*reader);
    const std::int64_t surplus =
        store.count(_target.name, _parts.most + mostSurplusAtOnce) - _parts.most;
    std::int64_t last = 0;
    for (std::int64_t left = surplus; left > 0;)
    {
        std::vector<std::int64_t> seqs;
        for (const auto& entry : store.waiting(
                 _target.name, last, static_cast<int>(std::min<std::int64_t>(left, readAtOnce))))
            seqs.push_back(entry.seq);
        if (seqs.empty())
            break;
        _parts.remove(seqs);
        last = seqs.back();
        left -= static_cast<std::int64_t>(seqs.size());
    }
    if (last == 0)
        return;
    _read = std::max(_read, last);
    std::erase_if(_logs, [last](const auto& log) { return log.first <= last; });
    {
        const std::lock_guard lock(_mutex);
        (void)_queue.take([last](const TargetQueue::Entry& entry) { return entry.seq <= last; });
        _status.dropped += static_cast<std::uint64_t>(surplus);
    }
    _parts.log("more than outbox.max reports wait for " + _target.name + ": the oldest " +
               std::to_string(surplus) + " are dropped");
}

} // namespace agent
