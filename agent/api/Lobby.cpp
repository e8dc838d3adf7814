#include "agent/api/Lobby.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace agent
{
namespace
{

using Poco::Net::SocketAddress;
using State = Connection::State;
using Clock = Connection::Clock;

// More clients than this are no orchestrator and a few dashboards, but an accident or an attack.
constexpr std::size_t mostConnections = 1000;

// Bounds the memory of bodies that are arriving.
constexpr std::ptrdiff_t mostLargeUploads = 64;

constexpr std::chrono::milliseconds deafTime{100};

// Half of the descriptors are for logs, shims and the record.
std::size_t connectionLimit()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return mostConnections;
    return std::min<std::size_t>(mostConnections, std::max<std::size_t>(limit.rlim_cur / 2, 16));
}

Refusal busy(const std::string& message)
{
    return {.status = 503,
            .code = "busy",
            .message = message,
            .field = "",
            .headers = {{"Retry-After", "1"}}};
}

bool addTo(int epoll, int fd)
{
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP;
    event.data.fd = fd;
    return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/// Its body may be so long that not every client can have one at the same time.
bool isLargeUpload(const Connection& connection)
{
    constexpr std::int64_t large = 65'536;
    return connection.state() == State::Body &&
           (connection.head().chunked || connection.head().contentLength > large);
}

} // namespace

Lobby::Lobby(const LobbyOptions& options) : _options(options), _limit(connectionLimit())
{
    _epoll = ::epoll_create1(EPOLL_CLOEXEC);
    _event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (_epoll < 0 || _event < 0 || !addTo(_epoll, _event))
        throw std::system_error(errno, std::generic_category(), "epoll_create1 or eventfd");
}

Lobby::~Lobby()
{
    ::close(_epoll);
    ::close(_event);
}

void Lobby::listen(int fd)
{
    _listener = fd;
    if (!addTo(_epoll, fd))
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

bool Lobby::wait()
{
    while (!_stopping.load())
    {
        if (!_waiting.empty() && threadFree())
            return true;
        std::array<epoll_event, 64> events;
        const int count =
            ::epoll_wait(_epoll, events.data(), static_cast<int>(events.size()), timeoutMs());
        if (_deafUntil != Clock::time_point{} && Clock::now() >= _deafUntil)
        {
            const bool heard = addTo(_epoll, _listener);
            _deafUntil = heard ? Clock::time_point{} : Clock::now() + deafTime;
        }
        for (int i = 0; i < count; ++i)
        {
            const int fd = events[static_cast<std::size_t>(i)].data.fd;
            if (fd == _event)
                collect();
            else if (fd == _listener)
                accept();
            else
                look(fd);
        }
        expire();
    }
    return false;
}

std::unique_ptr<Connection> Lobby::take()
{
    if (_waiting.empty())
        return nullptr;
    auto connection = std::move(_waiting.front());
    _waiting.pop_front();
    _crowd.store(_waiting.size());
    const std::lock_guard lock(_mutex);
    _active.insert(connection->fd());
    return connection;
}

void Lobby::park(std::unique_ptr<Connection> connection)
{
    {
        const std::lock_guard lock(_mutex);
        _active.erase(connection->fd());
        _inbox.push_back(std::move(connection));
        _changed.notify_all();
    }
    wake();
}

void Lobby::leave(const Connection& connection)
{
    {
        const std::lock_guard lock(_mutex);
        _active.erase(connection.fd());
        _changed.notify_all();
    }
    if (crowded())
        wake();
}

void Lobby::stop()
{
    {
        const std::lock_guard lock(_mutex);
        _stopping.store(true);
        _changed.notify_all();
    }
    wake();
}

void Lobby::waitForStop()
{
    std::unique_lock lock(_mutex);
    _changed.wait(lock, [this] { return _stopping.load(); });
}

void Lobby::finish(std::chrono::milliseconds time)
{
    dismiss();
    std::unique_lock lock(_mutex);
    if (!_changed.wait_for(lock, time, [this] { return _active.empty(); }))
        for (const int fd : _active)
            ::shutdown(fd, SHUT_RDWR);
    _inbox.clear();
}

void Lobby::wake() const
{
    const std::uint64_t one = 1;
    // It fails only when the counter is full, and then the thread is awake anyway.
    (void)!::write(_event, &one, sizeof one);
}

bool Lobby::threadFree()
{
    const std::lock_guard lock(_mutex);
    return _active.size() < static_cast<std::size_t>(_options.threads);
}

void Lobby::watch(std::unique_ptr<Connection> connection)
{
    const int fd = connection->fd();
    if (addTo(_epoll, fd)) // else the kernel is out of memory, and the client is let go
        _watched[fd] = std::move(connection);
}

std::unique_ptr<Connection> Lobby::unwatch(int fd)
{
    const auto entry = _watched.find(fd);
    if (entry == _watched.end())
        return nullptr;
    auto connection = std::move(entry->second);
    _watched.erase(entry);
    ::epoll_ctl(_epoll, EPOLL_CTL_DEL, fd, nullptr);
    return connection;
}

void Lobby::look(int fd)
{
    const auto entry = _watched.find(fd);
    if (entry == _watched.end())
        return; // evicted by an event before it in the same batch
    Connection& connection = *entry->second;
    if (connection.state() == State::Refused)
    {
        if (!connection.drain())
            unwatch(fd);
        return;
    }
    const bool uploads = isLargeUpload(connection);
    connection.receive();
    const State state = connection.state();
    if (state == State::Ready || state == State::Refused || state == State::Closed ||
        (!uploads && isLargeUpload(connection)))
        sort(unwatch(fd));
}

void Lobby::sort(std::unique_ptr<Connection> connection)
{
    if (connection->state() == State::Ready)
    {
        std::size_t active = 0;
        {
            const std::lock_guard lock(_mutex);
            active = _active.size();
        }
        if (active + _waiting.size() <
            static_cast<std::size_t>(_options.threads) + static_cast<std::size_t>(_options.queued))
        {
            _waiting.push_back(std::move(connection));
            _crowd.store(_waiting.size());
            return;
        }
        connection->refuse(busy("too many requests at once"));
    }
    const auto uploads = [](const auto& entry) { return isLargeUpload(*entry.second); };
    if (isLargeUpload(*connection) &&
        std::count_if(_watched.begin(), _watched.end(), uploads) >= mostLargeUploads)
        connection->refuse(busy("too many uploads at once"));
    if (connection->state() == State::Refused)
    {
        connection->answerRefusal();
        if (!connection->drain())
            return;
    }
    if (connection->state() != State::Closed)
        watch(std::move(connection));
}

void Lobby::accept()
{
    constexpr int batch = 64; // and then those who are here already
    for (int i = 0; i < batch; ++i)
    {
        sockaddr_storage address{};
        socklen_t length = sizeof address;
        const int fd = ::accept4(_listener, reinterpret_cast<sockaddr*>(&address), &length,
                                 SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
        {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
                return;
            // The listener stays readable: without a pause this would spin.
            evict();
            _deafUntil = Clock::now() + deafTime;
            ::epoll_ctl(_epoll, EPOLL_CTL_DEL, _listener, nullptr);
            return;
        }
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_storage own{};
        socklen_t ownLength = sizeof own;
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &ownLength);
        auto connection = std::make_unique<Connection>(
            fd, SocketAddress(reinterpret_cast<sockaddr*>(&address), length),
            SocketAddress(reinterpret_cast<sockaddr*>(&own), ownLength), _options.limits);
        if (_watched.size() >= _limit)
            evict();
        connection->receive();
        sort(std::move(connection));
    }
}

void Lobby::evict()
{
    // Whoever drips has been here longest; an honest request is whole within milliseconds.
    const auto rank = [](const auto& entry)
    {
        const State state = entry.second->state();
        return std::pair(state == State::Refused ? 0
                         : state == State::Idle  ? 1
                                                 : 2,
                         entry.second->deadline());
    };
    const auto oldest =
        std::min_element(_watched.begin(), _watched.end(),
                         [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    if (oldest == _watched.end())
        return;
    auto connection = unwatch(oldest->first);
    if (connection->state() == State::Head || connection->state() == State::Body)
    {
        connection->refuse(busy("too many connections"));
        connection->answerRefusal();
    }
}

void Lobby::expire()
{
    const auto now = Clock::now();
    std::vector<int> due;
    for (const auto& [fd, connection] : _watched)
        if (connection->deadline() <= now)
            due.push_back(fd);
    for (const int fd : due)
    {
        auto connection = unwatch(fd);
        const State state = connection->state();
        if (state != State::Head && state != State::Body)
            continue;
        connection->refuse({.status = 408,
                            .code = "request_timeout",
                            .message = state == State::Head ? "the request head took too long"
                                                            : "the request body took too long",
                            .field = ""});
        sort(std::move(connection));
    }
}

void Lobby::collect()
{
    std::uint64_t count = 0;
    (void)!::read(_event, &count, sizeof count);
    std::vector<std::unique_ptr<Connection>> inbox;
    {
        const std::lock_guard lock(_mutex);
        inbox.swap(_inbox);
    }
    for (auto& connection : inbox)
        sort(std::move(connection));
}

void Lobby::dismiss()
{
    collect();
    _watched.clear();
    for (auto& connection : _waiting)
    {
        connection->refuse(busy("the agent is stopping"));
        connection->answerRefusal();
    }
    _waiting.clear();
    _crowd.store(0);
}

int Lobby::timeoutMs() const
{
    auto next = Clock::time_point::max();
    for (const auto& [fd, connection] : _watched)
        next = std::min(next, connection->deadline());
    if (_deafUntil != Clock::time_point{})
        next = std::min(next, _deafUntil);
    if (next == Clock::time_point::max())
        return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

} // namespace agent
