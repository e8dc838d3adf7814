#include "agent/intake/Poller.h"

#include "agent/model/Declined.h"
#include "agent/model/RepositoryName.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <set>
#include <stdexcept>

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace agent
{

namespace
{

std::int64_t steadyMs()
{
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

std::string hostOf(const std::string& url)
{
    const std::string name = repositoryName(url);
    return name.substr(0, name.find('/'));
}

} // namespace

Poller::Poller(PollParts parts)
    : _parts(std::move(parts)),
      _known(_parts.folder),
      _stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      _random(std::random_device{}())
{
}

Poller::~Poller()
{
    stop();
}

void Poller::load()
{
    std::map<std::string, std::int64_t> wanted;
    for (const auto& service : _parts.services.all())
        if (service->pollMs > 0 && service->on)
        {
            std::int64_t& every = wanted[service->pipeline.repository];
            every = every == 0 ? service->pollMs : std::min(every, service->pollMs);
        }
    const std::lock_guard lock(_mutex);
    for (auto& lane : _lanes)
        std::erase_if(lane->repositories,
                      [&](const auto& one) { return !wanted.contains(one.first); });
    for (const auto& [url, every] : wanted)
    {
        const auto [found, isNew] = _laneOf.try_emplace(hostOf(url), _laneOf.size() % mostLanes);
        if (found->second >= _lanes.size())
        {
            _lanes.push_back(std::make_unique<Lane>());
            Lane& lane = *_lanes.back();
            lane.thread = std::thread([this, &lane] { work(lane); });
        }
        Repository& repository = _lanes[found->second]->repositories[url];
        // The first look within the interval: not all agents and repositories at once.
        if (repository.everyMs != every)
            repository.at = steadyMs() + std::uniform_int_distribution<std::int64_t>(
                                             0, std::min<std::int64_t>(every, 5'000))(_random);
        repository.everyMs = every;
    }
    // A service that could not be read may poll one of the others: its changes are not to be lost by a typo.
    _forgets = _parts.services.allRefused().empty();
    if (_forgets)
    {
        std::set<std::string> urls;
        for (const auto& [url, every] : wanted)
            urls.insert(url);
        _known.keepOnly(urls);
    }
    _changed.notify_all();
}

void Poller::work(Lane& lane)
{
    ::prctl(PR_SET_NAME, "poll");
    std::unique_lock lock(_mutex);
    while (!_stopping)
    {
        const auto next = std::min_element(lane.repositories.begin(), lane.repositories.end(),
                                           [](const auto& one, const auto& other)
                                           { return one.second.at < other.second.at; });
        if (next == lane.repositories.end())
        {
            _changed.wait(lock);
            continue;
        }
        if (const std::int64_t left = next->second.at - steadyMs(); left > 0)
        {
            _changed.wait_for(lock, std::chrono::milliseconds(left));
            continue;
        }
        const std::string url = next->first;
        std::string failure;
        lock.unlock();
        try
        {
            poll(url);
        }
        catch (const Declined& declined)
        {
            failure = declined.message;
        }
        catch (const std::exception& error)
        {
            failure = error.what();
        }
        lock.lock();
        if (!lane.repositories.contains(url) && _forgets)
            _known.forget(url); // written since load()
        else if (!_stopping)
            note(lane, url, failure);
    }
}

/// Plans the next look, and tells when a repository begins to fail and when it is well again. Under _mutex.
void Poller::note(Lane& lane, const std::string& url, const std::string& failure)
{
    const auto found = lane.repositories.find(url);
    if (found == lane.repositories.end())
        return;
    Repository& one = found->second;
    if (!failure.empty() && one.failures == 0)
        _parts.log("the repository " + shownRepository(url) + " can't be polled (" + failure +
                   "); it is tried again");
    if (failure.empty() && one.failures > 0)
        _parts.log("the repository " + shownRepository(url) + " can be polled again");
    one.failures = failure.empty() ? 0 : std::min(one.failures + 1, 20);
    const std::int64_t pause =
        std::max(one.everyMs, std::min(one.everyMs << one.failures, longestPauseMs));
    one.at = steadyMs() + pause +
             std::uniform_int_distribution<std::int64_t>(-pause / 10, pause / 10)(_random);
}

/// Errors: std::runtime_error, Declined: what was not handled is found again at the next look.
void Poller::poll(const std::string& url)
{
    const RemoteRefs now = remoteRefs(url, {.gitConfig = _parts.gitConfig, .stop = _stop.get()});
    const auto before = _known.read(url);
    if (!before)
        return _known.write(url, now); // what was there before polling began is not new
    if (*before == now)
        return;
    // A server that lost them, or hides them, for a while: all would be new when they are back.
    if (now.empty())
        throw std::runtime_error("it has no branches and tags any more");
    RemoteRefs known;
    std::size_t changes = 0;
    std::exception_ptr failure;
    for (const auto& [ref, commit] : now)
    {
        const auto old = before->find(ref);
        bool handled = true;
        if (old == before->end() || old->second != commit)
            try
            {
                handled = !failure && changes < mostChanges && !stopping();
                changes += handled && tell(url, ref, commit) ? 1 : 0;
            }
            catch (const Declined&) // the queue is full, the disk low, the agent drains
            {
                failure = std::current_exception();
                handled = false;
            }
        if (handled)
            known[ref] = commit;
        else if (old != before->end())
            known.insert(*old);
    }
    _known.write(url, known);
    if (failure)
        std::rethrow_exception(failure);
}

bool Poller::stopping()
{
    const std::lock_guard lock(_mutex);
    return _stopping;
}

bool Poller::tell(const std::string& url, const std::string& ref, const std::string& commit)
{
    const bool branch = ref.starts_with("refs/heads/");
    ForgeEvent event{.kind = branch ? ForgeEvent::Kind::Push : ForgeEvent::Kind::Tag,
                     .name = branch ? "push" : "tag",
                     .why = {},
                     .delivery = {},
                     .repositories = {url},
                     .branch = ref.substr(branch ? 11 : 10),
                     .commit = commit};
    return _parts.hooks.polled(event);
}

void Poller::stop()
{
    std::vector<std::thread> threads;
    {
        const std::lock_guard lock(_mutex);
        _stopping = true;
        _changed.notify_all();
        for (auto& lane : _lanes)
            if (lane->thread.joinable())
                threads.push_back(std::move(lane->thread));
    }
    const std::uint64_t one = 1;
    (void)!::write(_stop.get(), &one, sizeof one);
    for (auto& thread : threads)
        thread.join();
}

} // namespace agent
