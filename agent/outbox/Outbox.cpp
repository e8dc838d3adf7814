#include "agent/outbox/Outbox.h"

#include "agent/store/OutboxStore.h"

#include <Poco/Exception.h>

#include <algorithm>
#include <chrono>

#include <sys/prctl.h>

namespace agent
{

Outbox::Outbox(OutboxParts parts, std::function<void(std::vector<Subscription>)> subscribed)
    : _parts(std::move(parts)), _subscribed(std::move(subscribed))
{
}

Outbox::~Outbox()
{
    stop();
}

Outbox::Workers Outbox::workers() const
{
    const std::lock_guard lock(_mutex);
    return _workers;
}

std::vector<Problem> Outbox::load(const std::filesystem::path& folder,
                                  const std::filesystem::path& secrets)
{
    std::vector<Problem> problems;
    std::vector<std::string> refused;
    auto targets = readTargets(folder, secrets, problems, refused);
    Workers before = workers();
    Workers next;
    Workers stopped;
    for (const auto& [name, worker] : before)
    {
        const auto& old = worker->target();
        const bool broken = std::find(refused.begin(), refused.end(), old.file) != refused.end();
        const auto declared = std::find_if(targets.begin(), targets.end(),
                                           [&](const auto& one) { return one.name == name; });
        const bool same = declared != targets.end() && *declared == old;
        const bool gone410 = worker->status().state == "ended";
        if ((same && !gone410) || (broken && declared == targets.end()))
            next.emplace(name, worker);
        else
            stopped.emplace(name, worker);
    }
    for (const auto& [name, worker] : stopped)
        worker->askToStop();
    for (const auto& [name, worker] : stopped)
        worker->stop();
    Workers started;
    for (auto& target : targets)
        if (!next.contains(target.name))
        {
            const std::string name = target.name;
            auto worker = std::make_shared<TargetWorker>(std::move(target), _parts,
                                                         [this, name] { ended(name); });
            next.emplace(name, worker);
            started.emplace(name, worker);
        }
    {
        const std::lock_guard lock(_mutex);
        _workers = next;
        for (const auto& [name, worker] : started)
            _ended.erase(name);
    }
    tellSubscriptions();
    if (_started)
    {
        for (const auto& [name, worker] : started)
            worker->start();
        dropOrphans(next); // last: it may wait for a full disk
    }
    return problems;
}

void Outbox::start()
{
    _started = true;
    const Workers all = workers();
    for (const auto& [name, worker] : all)
        worker->start();
    dropOrphans(all);
    if (_parts.keepMs > 0)
        _orphans = std::thread([this] { lookForOrphans(); });
}

void Outbox::ended(const std::string& name)
{
    {
        const std::lock_guard lock(_mutex);
        _ended.insert(name);
    }
    tellSubscriptions();
}

void Outbox::tellSubscriptions()
{
    const std::lock_guard lock(_mutex); // so that the newest list is told last
    std::vector<Subscription> list;
    for (const auto& [name, worker] : _workers)
        if (!_ended.contains(name))
            list.push_back(worker->target().subscription());
    _subscribed(std::move(list));
}

/// Removes what is too old of targets that nobody sends to. A target may come back until then.
/// Errors: none; what can't be removed now stays for an hour.
void Outbox::dropOrphans(const Workers& all)
try
{
    if (_parts.keepMs == 0)
        return;
    auto reader = _parts.database.reader();
    OutboxStore store(*reader);
    constexpr int atOnce = 500;
    for (std::string name = store.targetAfter(""); !name.empty(); name = store.targetAfter(name))
    {
        std::int64_t after = 0;
        std::size_t dropped = 0;
        for (bool more = !all.contains(name); more;)
        {
            const auto found = store.waiting(name, after, atOnce);
            std::vector<std::int64_t> old;
            for (const auto& entry : found)
                if (entry.at < nowMs() - _parts.keepMs)
                    old.push_back(entry.seq);
            if (!old.empty())
                _parts.remove(old);
            dropped += old.size();
            after = found.empty() ? after : found.back().seq;
            more = old.size() == static_cast<std::size_t>(atOnce);
        }
        if (dropped > 0)
            _parts.log(std::to_string(dropped) + " reports for " + name +
                       ", which has no file in outbox.dir, are older than outbox.keep: dropped");
    }
}
catch (const std::exception& error)
{
    const auto* known = dynamic_cast<const Poco::Exception*>(&error);
    _parts.log("reports of targets without a file can't be looked through: " +
               (known != nullptr ? known->displayText() : std::string(error.what())));
}

void Outbox::lookForOrphans()
{
    ::prctl(PR_SET_NAME, "outbox");
    std::unique_lock lock(_mutex);
    while (!_changed.wait_for(lock, std::chrono::hours(1), [this] { return _stopping; }))
    {
        const Workers all = _workers;
        lock.unlock();
        dropOrphans(all);
        lock.lock();
    }
}

void Outbox::wake()
{
    for (const auto& [name, worker] : workers())
        worker->wake();
}

void Outbox::stop()
{
    {
        const std::lock_guard lock(_mutex);
        _stopping = true;
        _changed.notify_all();
    }
    if (_orphans.joinable())
        _orphans.join();
    const Workers all = workers();
    for (const auto& [name, worker] : all)
        worker->askToStop();
    for (const auto& [name, worker] : all)
        worker->stop();
}

std::vector<TargetStatus> Outbox::status() const
{
    const Workers all = workers();
    std::map<std::string, TargetStatus> found;
    for (const auto& [name, worker] : all)
        found.emplace(name, worker->status());
    auto reader = _parts.database.reader();
    OutboxStore store(*reader);
    for (std::string name = store.targetAfter(""); !name.empty(); name = store.targetAfter(name))
        found.try_emplace(name, TargetStatus{.name = name, .state = "missing"});
    std::vector<TargetStatus> list;
    for (auto& [name, one] : found)
    {
        one.backlog = store.backlog(name);
        list.push_back(std::move(one));
    }
    return list;
}

std::optional<TargetQueue::Standing> Outbox::standing(const Report& report) const
{
    const Workers all = workers();
    const auto found = all.find(report.target);
    return found == all.end() ? std::nullopt
                              : found->second->standing(
                                    laneOf(report.runId, report.seq, report.event), report.seq);
}

bool Outbox::retry(const Report& report)
{
    const Workers all = workers();
    const auto found = all.find(report.target);
    if (found == all.end() || found->second->status().state == "ended")
        return false;
    found->second->retry(laneOf(report.runId, report.seq, report.event));
    return true;
}

} // namespace agent
