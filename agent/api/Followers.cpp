#include "agent/api/Followers.h"

#include <Poco/Exception.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include <sys/epoll.h>
#include <sys/eventfd.h>

namespace agent
{

namespace
{

using std::chrono::milliseconds;

/// A log that is written line by line would cost one call a line and follower. So the thread rests as
/// long as the last round took, and sends what has come in meanwhile at once.
constexpr milliseconds longestRest{10};

constexpr int noTimeout = -1;

/// Until the end of a token is looked at again: the wall clock may be set.
constexpr TimeMs longestWait = 60'000;

bool watchFd(int epoll, int operation, int fd, std::uint32_t events)
{
    epoll_event event{.events = events, .data = {.fd = fd}};
    return ::epoll_ctl(epoll, operation, fd, &event) == 0;
}

} // namespace

Followers::Followers(FollowersOptions options, Database& database, const StateFolder& state)
    : _options(std::move(options)),
      _taken(std::make_shared<std::atomic<std::size_t>>(0)),
      _epoll(::epoll_create1(EPOLL_CLOEXEC)),
      _wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      _state(state),
      _runs(database, _options.facts),
      _logs(state.root() / "runs")
{
    if (!_epoll.valid() || !_wake.valid() ||
        !watchFd(_epoll.get(), EPOLL_CTL_ADD, _wake.get(), EPOLLIN) ||
        !watchFd(_epoll.get(), EPOLL_CTL_ADD, _logs.descriptor(), 0))
        throw std::system_error(errno, std::generic_category(), "epoll_create1 or eventfd");
}

Followers::~Followers()
{
    stop();
}

void Followers::start()
{
    {
        const std::lock_guard lock(_mutex);
        _stopping = false;
    }
    _thread = std::thread([this] { work(); });
}

void Followers::stop()
{
    {
        const std::lock_guard lock(_mutex);
        _stopping = true;
    }
    ::eventfd_write(_wake.get(), 1);
    if (_thread.joinable())
        _thread.join();
}

void Followers::changed(const std::set<std::string>& runIds)
{
    {
        const std::lock_guard lock(_mutex);
        if (_stopping || _taken->load() == 0)
            return;
        _changed.insert(runIds.begin(), runIds.end());
    }
    ::eventfd_write(_wake.get(), 1);
}

void Followers::recheck()
{
    ::eventfd_write(_wake.get(), 1);
}

std::shared_ptr<void> Followers::room()
{
    if (_taken->fetch_add(1) >= _options.most)
    {
        _taken->fetch_sub(1);
        return nullptr;
    }
    return {_taken.get(), [taken = _taken](void*) { taken->fetch_sub(1); }};
}

void Followers::add(std::unique_ptr<Transport> transport, TextFollower::Wish wish, Leave leave)
{
    const FollowedParts parts{_runs, _logs, _state};
    add(std::make_unique<Client>(std::move(transport),
                                 std::make_unique<TextFollower>(parts, std::move(wish)),
                                 std::move(leave)));
}

void Followers::add(std::unique_ptr<Transport> transport, EventFollower::Wish wish, Leave leave)
{
    const FollowedParts parts{_runs, _logs, _state};
    add(std::make_unique<Client>(std::move(transport),
                                 std::make_unique<EventFollower>(parts, std::move(wish)),
                                 std::move(leave)));
}

void Followers::add(std::unique_ptr<Client> client)
{
    {
        const std::lock_guard lock(_mutex);
        if (_stopping)
            return;
        _inbox.push_back(std::move(client));
    }
    ::eventfd_write(_wake.get(), 1);
}

void Followers::work()
{
    std::array<epoll_event, 256> events{};
    while (true)
    {
        const int count = ::epoll_wait(_epoll.get(), events.data(), events.size(), timeoutMs());
        {
            const std::lock_guard lock(_mutex);
            if (_stopping)
                break;
        }
        for (int i = 0; i < count; ++i)
            hear(events[static_cast<std::size_t>(i)].data.fd,
                 events[static_cast<std::size_t>(i)].events);
        round();
    }
    _clients.clear();
    const std::lock_guard lock(_mutex);
    _inbox.clear();
}

int Followers::timeoutMs() const
{
    if (_clients.empty())
        return noTimeout;
    const auto now = Clock::now();
    const auto wallNow = nowMs();
    auto next = Clock::time_point::max();
    if (!_watchesLogs)
        next = _restUntil;
    for (const auto& [fd, client] : _clients)
    {
        if (client->more)
            return 0;
        if (const auto& grant = client->leave.grant; grant && grant->endsAt())
            next = std::min(next, now + milliseconds(std::clamp<TimeMs>(*grant->endsAt() - wallNow,
                                                                        0, longestWait)));
        if (client->socket.blocked())
            next = std::min(next, client->socket.stalledSince() + _options.patience);
        else if (client->follower->wantsHeartbeat())
            next = std::min(next, _nextHeartbeat);
    }
    if (next == Clock::time_point::max())
        return noTimeout;
    return static_cast<int>(
        std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(next - now).count()));
}

void Followers::hear(int fd, std::uint32_t events)
{
    if (fd == _wake.get())
    {
        eventfd_t ignored = 0;
        ::eventfd_read(fd, &ignored);
        return takeInbox();
    }
    if (fd == _logs.descriptor())
    {
        _looked = true;
        return _logs.look();
    }
    const auto found = _clients.find(fd);
    if (found == _clients.end())
        return;
    ClientSocket& socket = found->second->socket;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        socket.close();
    else if ((events & EPOLLOUT) != 0 || socket.mixesDirections())
        socket.writable();
}

void Followers::takeInbox()
{
    std::vector<std::unique_ptr<Client>> inbox;
    std::set<std::string> changed;
    {
        const std::lock_guard lock(_mutex);
        inbox.swap(_inbox);
        changed.swap(_changed);
    }
    if (_clients.empty())
    {
        _nextHeartbeat = Clock::now() + _options.heartbeat;
        _runs.forget(); // changes are not told while nobody follows
    }
    try
    {
        _runs.changed(changed);
    }
    catch (const Poco::Exception& error)
    {
        log("the record can't be read for those who follow it: " + error.displayText());
    }
    for (auto& client : inbox)
    {
        const int fd = client->socket.fd();
        if (watchFd(_epoll.get(), EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))
            _clients.emplace(fd, std::move(client));
    }
}

/// Serves all who can take something.
void Followers::round()
{
    if (_clients.empty())
        return;
    const auto begin = Clock::now();
    const std::size_t before = _clients.size();
    dropStalled();
    sendHeartbeats();
    std::erase_if(_clients, [this](const auto& entry) { return !serve(*entry.second); });
    if (_clients.size() != before)
        _logs.sweep();
    const auto end = Clock::now();
    const auto rest = std::min(longestRest, std::chrono::floor<milliseconds>(end - begin));
    if (_looked && rest.count() > 0)
        _restUntil = end + rest;
    _looked = false;
    watchLogs(!_clients.empty() && end >= _restUntil);
}

/// Returns whether it goes on.
bool Followers::serve(Client& client)
{
    if (client.leave.grant && !client.leave.grant->valid(nowMs()))
        return false;
    auto progress = Follower::Progress::Waits;
    client.more = false;
    try
    {
        if (!client.socket.blocked() && !client.socket.gone())
            progress = client.follower->pump(client.socket);
    }
    catch (const Poco::Exception& error)
    {
        log("a follower was dropped: " + error.displayText());
        return false;
    }
    catch (const std::exception& error)
    {
        log(std::string("a follower was dropped: ") + error.what());
        return false;
    }
    client.more = progress == Follower::Progress::More;
    if (progress == Follower::Progress::Ended)
        client.socket.finish();
    return progress != Follower::Progress::Ended && !client.socket.gone();
}

void Followers::dropStalled()
{
    const auto limit = Clock::now() - _options.patience;
    for (const auto& [fd, client] : _clients)
    {
        if (!client->socket.blocked() || client->socket.stalledSince() > limit)
            continue;
        log("a follower was dropped: it took nothing for " +
            std::to_string(_options.patience.count() / 1000) + " s");
        client->socket.close();
    }
}

void Followers::sendHeartbeats()
{
    const auto now = Clock::now();
    if (now < _nextHeartbeat)
        return;
    _nextHeartbeat = now + _options.heartbeat;
    for (const auto& [fd, client] : _clients)
        if (client->follower->wantsHeartbeat() && !client->socket.blocked())
            client->socket.send(": still here\n\n");
}

void Followers::watchLogs(bool on)
{
    if (on != _watchesLogs)
        watchFd(_epoll.get(), EPOLL_CTL_MOD, _logs.descriptor(),
                on ? static_cast<std::uint32_t>(EPOLLIN) : 0);
    _watchesLogs = on;
}

void Followers::log(const std::string& line) const
{
    if (_options.log)
        _options.log(line);
}

} // namespace agent
