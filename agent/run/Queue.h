#pragma once

#include "agent/model/Run.h"

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

namespace agent
{

/// A run that has not ended, as far as the queue needs to know it.
struct QueuedRun
{
    /// Returns nothing for a run that has ended.
    static std::optional<QueuedRun> of(const Run& run);

    std::int64_t seq = 0;
    std::string id;
    std::string service; ///< empty: without a limit of concurrency
    std::int64_t priority = 0;
    bool resumed = false;
    bool begun =
        false; ///< counts for its service's concurrency, also while it waits for an approval
    bool holdsSlot = false;
    bool wantsSlot = false;
};

/// The runs that have not ended, in memory: who holds a slot, and who gets the next one. Runs resumed by
/// hand come first, then those of higher priority, then older ones. A run that waits for its service's
/// concurrency does not hold up those behind it. A change costs O(log n), next() O(1): of each service
/// only the first waiting run is looked at, and only where the service may begin another.
/// Not persistent: rebuilt from the record at start (Recovery), changed with each batch (Batch).
/// Threads: the engine's.
class Queue
{
public:
    /// `concurrency`: how many runs of a service, given by name, may have begun at a time.
    Queue(int slots, std::function<int(const std::string& service)> concurrency)
        : _slots(slots), _concurrency(std::move(concurrency))
    {
    }

    /// Takes over the state of run `seq`; nothing: it has ended or was removed.
    /// Returns its state until now, with which the change can be undone.
    std::optional<QueuedRun> set(std::int64_t seq, const std::optional<QueuedRun>& run);

    /// Returns the run that gets a slot next; nothing when no slot is free or no run may go on.
    [[nodiscard]] std::optional<QueuedRun> next() const;

    /// While draining, no run begins; begun ones go on.
    void drain(bool on) { _draining = on; }
    [[nodiscard]] bool draining() const { return _draining; }

    /// The concurrency of services may have changed.
    void servicesChanged();

    [[nodiscard]] int slots() const { return _slots; }
    [[nodiscard]] int running() const { return _running; } ///< runs that hold a slot
    [[nodiscard]] int waiting() const { return _waiting; } ///< runs that want one

private:
    /// The order in which runs get slots.
    struct Place
    {
        explicit Place(const QueuedRun& run)
            : resumedLast(!run.resumed), priorityDown(-run.priority), seq(run.seq)
        {
        }
        auto operator<=>(const Place&) const = default;

        bool resumedLast;
        std::int64_t priorityDown;
        std::int64_t seq;
    };

    struct Service
    {
        int begun = 0;
        std::set<Place> waiting;   ///< runs that have not begun
        std::optional<Place> head; ///< the one of them in _heads
    };

    void count(const QueuedRun& run, int by);
    void refreshHead(const std::string& service);

    const int _slots;
    const std::function<int(const std::string&)> _concurrency;
    bool _draining = false;
    int _running = 0;
    int _waiting = 0;
    std::unordered_map<std::int64_t, QueuedRun> _runs; ///< by seq
    std::map<std::string, Service> _services;          ///< by name; those with open runs
    std::set<Place> _goingOn; ///< begun runs that want a slot for their next stage
    std::set<Place> _heads;   ///< the first waiting run of each service that may begin one
};

} // namespace agent
