#include "agent/run/Queue.h"

#include <vector>

namespace agent
{

std::optional<QueuedRun> QueuedRun::of(const Run& run)
{
    if (run.ended())
        return std::nullopt;
    return QueuedRun{.seq = run.seq,
                     .id = run.id,
                     .service = run.serviceName,
                     .priority = run.priority,
                     .resumed = run.resumed,
                     .begun = run.status != Status::Idle || run.holdsSlot,
                     .holdsSlot = run.holdsSlot,
                     .wantsSlot = run.wantsSlot};
}

std::optional<QueuedRun> Queue::set(std::int64_t seq, const std::optional<QueuedRun>& run)
{
    std::optional<QueuedRun> before;
    if (const auto found = _runs.find(seq); found != _runs.end())
    {
        before = std::move(found->second);
        _runs.erase(found);
        count(*before, -1);
    }
    if (run)
    {
        count(*run, 1);
        _runs.emplace(seq, *run);
    }
    if (before)
        refreshHead(before->service);
    if (run && (!before || before->service != run->service))
        refreshHead(run->service);
    return before;
}

void Queue::count(const QueuedRun& run, int by)
{
    const auto change = [by, place = Place(run)](std::set<Place>& places)
    {
        if (by > 0)
            places.insert(place);
        else
            places.erase(place);
    };
    Service& service = _services[run.service];
    _running += run.holdsSlot ? by : 0;
    service.begun += run.begun ? by : 0;
    if (!run.wantsSlot)
        return;
    _waiting += by;
    change(run.begun ? _goingOn : service.waiting);
}

/// Keeps _heads true for one service, and drops one without runs.
void Queue::refreshHead(const std::string& name)
{
    const auto found = _services.find(name);
    if (found == _services.end())
        return;
    Service& service = found->second;
    std::optional<Place> head;
    if (!service.waiting.empty() && (name.empty() || service.begun < _concurrency(name)))
        head = *service.waiting.begin();
    if (service.head != head)
    {
        if (service.head)
            _heads.erase(*service.head);
        if (head)
            _heads.insert(*head);
        service.head = head;
    }
    if (service.begun == 0 && service.waiting.empty())
        _services.erase(found);
}

std::optional<QueuedRun> Queue::next() const
{
    if (_running >= _slots)
        return std::nullopt;
    const Place* first = _goingOn.empty() ? nullptr : &*_goingOn.begin();
    if (!_draining && !_heads.empty() && (!first || *_heads.begin() < *first))
        first = &*_heads.begin();
    return first ? std::optional(_runs.at(first->seq)) : std::nullopt;
}

void Queue::servicesChanged()
{
    std::vector<std::string> names;
    for (const auto& [name, service] : _services)
        names.push_back(name);
    for (const auto& name : names)
        refreshHead(name);
}

} // namespace agent
