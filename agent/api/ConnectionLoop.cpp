#include "agent/api/ConnectionLoop.h"

#include "agent/api/Answer.h"
#include "agent/api/Eviction.h"
#include "agent/api/TlsTransport.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace agent
{
namespace
{

using State = Connection::State;
using std::chrono::milliseconds;

// Bounds the memory of bodies that are arriving.
constexpr std::ptrdiff_t mostLargeUploads = 64;

// Bounds the memory of answers that clients take slowly.
constexpr std::size_t mostHeldBytes = 64 << 20;

constexpr int turnsAtOnce = 16;
constexpr milliseconds pauseTime{100};
constexpr milliseconds stopTime{5000};

Refusal tooBusy(const std::string& message)
{
    return {.status = 503,
            .code = "busy",
            .message = message,
            .field = "",
            .headers = {{"Retry-After", "1"}}};
}

bool answering(const Connection& connection)
{
    return connection.state() == State::Working || connection.state() == State::Writing;
}

template <typename Connections> bool tooManyUploads(const Connections& connections)
{
    return std::count_if(connections.begin(), connections.end(),
                         [](const auto& entry)
                         { return entry.second->reader().isLargeUpload(); }) > mostLargeUploads;
}

bool watch(int epoll, int operation, int fd, std::uint32_t events)
{
    epoll_event event{.events = events, .data = {.fd = fd}};
    return ::epoll_ctl(epoll, operation, fd, &event) == 0;
}

/// Null when there is no memory for it.
std::unique_ptr<Transport> transportFor(const TlsContext* tls, FileDescriptor& socket)
{
    if (tls == nullptr)
        return std::make_unique<PlainTransport>(std::move(socket));
    auto session = tls->accept(socket.get());
    if (!session)
        return nullptr;
    return std::make_unique<TlsTransport>(std::move(socket), std::move(session));
}

} // namespace

ConnectionLoop::ConnectionLoop(LoopOptions options, std::vector<Listener> listeners,
                               DispatcherOptions dispatcher, Handler handler)
    : _options(std::move(options)),
      _acceptor(std::move(listeners)),
      _epoll(::epoll_create1(EPOLL_CLOEXEC)),
      _wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      _dispatcher(std::move(dispatcher), std::move(handler),
                  [this] { ::eventfd_write(_wake.get(), 1); })
{
    if (!_epoll.valid() || !_wake.valid() ||
        !watch(_epoll.get(), EPOLL_CTL_ADD, _wake.get(), EPOLLIN))
        throw std::system_error(errno, std::generic_category(), "epoll_create1 or eventfd");
}

ConnectionLoop::~ConnectionLoop()
{
    stop();
}

void ConnectionLoop::start()
{
    listen(true);
    _thread = std::thread([this] { run(); });
}

void ConnectionLoop::stop()
{
    _stopping.store(true);
    ::eventfd_write(_wake.get(), 1);
    if (_thread.joinable())
        _thread.join();
    _dispatcher.dismiss();
    _dispatcher.join();
    _connections.clear();
    _acceptor.close();
}

bool ConnectionLoop::ping(std::function<void()> work, milliseconds timeout)
{
    return _dispatcher.ping(std::move(work), timeout);
}

void ConnectionLoop::run()
{
    ::prctl(PR_SET_NAME, "http");
    while (true)
    {
        if (_stopping.load() && _stopUntil == Clock::time_point::max())
            dismiss();
        if (_stopping.load() &&
            (Clock::now() >= _stopUntil ||
             std::none_of(_connections.begin(), _connections.end(),
                          [](const auto& entry) { return answering(*entry.second); })))
            return;
        turn();
    }
}

void ConnectionLoop::turn()
{
    std::array<epoll_event, 64> events;
    const int count =
        ::epoll_wait(_epoll.get(), events.data(), static_cast<int>(events.size()), timeoutMs());
    for (const int fd : std::exchange(_again, {}))
        if (const auto found = _connections.find(fd); found != _connections.end())
            advance(*found->second);
    for (int i = 0; i < count; ++i)
        hear(events[static_cast<std::size_t>(i)].data.fd,
             events[static_cast<std::size_t>(i)].events);
    expire();
}

void ConnectionLoop::hear(int fd, std::uint32_t events)
{
    if (fd == _wake.get())
    {
        eventfd_t ignored = 0;
        ::eventfd_read(fd, &ignored);
        return collect();
    }
    if (const Listener* listener = _acceptor.find(fd))
        return accept(*listener);
    const auto found = _connections.find(fd);
    if (found == _connections.end())
        return; // closed by an event before it in the same batch
    found->second->hear(events);
    advance(*found->second);
}

void ConnectionLoop::listen(bool on)
{
    _listens = _acceptor.watch(_epoll.get(), on);
    _listenAgain = Clock::now() + pauseTime;
}

void ConnectionLoop::accept(const Listener& listener)
{
    constexpr int batch = 64; // and then those who are here already
    bool evicted = false;
    for (int i = 0; i < batch && _listens; ++i)
    {
        auto accepted = Acceptor::accept(listener);
        if (accepted.full)
        {
            // A descriptor of one that does least is enough for one that comes. The listener stays
            // readable: without a pause a second failure would spin.
            if (evicted || _connections.empty())
                return listen(false);
            evict(1);
            evicted = true;
            continue;
        }
        if (!accepted.socket.valid())
            return;
        // Many at once: a flood of connections must not cost a search for the oldest one each.
        if (_connections.size() >= _options.connections)
            evict(1 + _options.connections / 64);
        const int fd = accepted.socket.get();
        auto transport = transportFor(accepted.tls ? _options.tls : nullptr, accepted.socket);
        if (!transport ||
            !watch(_epoll.get(), EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))
            continue; // out of memory, and the client is let go
        auto& connection = _connections[fd];
        connection = std::make_unique<Connection>(std::move(transport), std::move(accepted.peer),
                                                  _options.limits);
        advance(*connection);
    }
}

/// Takes a connection as far as it gets without waiting.
void ConnectionLoop::advance(Connection& connection)
{
    int turns = 0;
    while (step(connection))
        if (++turns == turnsAtOnce)
        {
            _again.push_back(connection.fd());
            break;
        }
    account(connection);
    const bool over = connection.state() == State::Closed || connection.state() == State::HandOver;
    if (!over)
        return schedule(connection);
    const int fd = connection.fd();
    if (connection.state() == State::HandOver)
        handOver(connection);
    drop(fd);
}

/// The way of a request through its states. Returns false when client or worker has to act first.
bool ConnectionLoop::step(Connection& connection)
{
    switch (connection.state())
    {
    case State::Handshaking:
        return connection.handshake();
    case State::Reading:
    {
        const bool uploads = connection.reader().isLargeUpload();
        const bool moved = connection.receive();
        if (!uploads && connection.reader().isLargeUpload() && tooManyUploads(_connections))
            connection.refuse(tooBusy("too many uploads at once"));
        return moved;
    }
    case State::Ready:
        dispatch(connection);
        return true;
    case State::Writing:
        return connection.write();
    case State::PageDue:
        connection.work();
        _dispatcher.nextPage(connection.fd(), connection.answer().pages(),
                             connection.reader().head().target);
        return true;
    case State::Draining:
        return connection.drain();
    case State::Working:
    case State::HandOver:
    case State::Closed:
        break;
    }
    return false;
}

void ConnectionLoop::dispatch(Connection& connection)
{
    try
    {
        Request request = connection.takeRequest();
        _options.basePath.enter(request);
        if (auto ready = _dispatcher.atOnce(request))
            return respond(connection, std::move(*ready));
        connection.work();
        if (!_dispatcher.answer(connection.fd(), std::move(request)))
            connection.refuse(tooBusy("too many requests at once"));
    }
    catch (const Refusal& refusal)
    {
        connection.respond(answerTo(refusal), !_stopping.load());
    }
}

void ConnectionLoop::respond(Connection& connection, Response response)
{
    _options.basePath.leave(response);
    connection.respond(std::move(response), !_stopping.load());
}

void ConnectionLoop::handOver(Connection& connection)
{
    const int fd = connection.fd();
    ::epoll_ctl(_epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
    const auto taker = connection.answer().response().takeOver;
    try
    {
        taker(connection.release());
    }
    catch (...)
    {
        if (_options.logError)
            _options.logError("a connection was not taken over");
    }
}

/// Takes what the workers have made.
void ConnectionLoop::collect()
{
    for (auto& done : _dispatcher.takeDone())
    {
        if (done.ping)
        {
            done.ping->set_value();
            continue;
        }
        const auto found = _connections.find(done.connection);
        if (found == _connections.end() || found->second->state() != State::Working)
            continue;
        Connection& connection = *found->second;
        if (done.response)
            respond(connection, std::move(*done.response));
        else if (done.failed)
            connection.close();
        else
            connection.addPage(std::move(done.page), done.last);
        advance(connection);
    }
    evictWriter();
}

void ConnectionLoop::account(Connection& connection)
{
    const std::size_t held = connection.state() == State::Closed ? 0 : connection.held();
    _held = _held - connection.counted + held;
    connection.counted = held;
}

void ConnectionLoop::drop(int fd)
{
    const auto found = _connections.find(fd);
    if (found == _connections.end())
        return;
    _held -= found->second->counted;
    _connections.erase(found); // which closes it, and so ends the watch
}

void ConnectionLoop::schedule(Connection& connection)
{
    // A later deadline is found when the earlier one is due: a busy connection costs nothing here.
    if (connection.deadline() >= connection.scheduled)
        return;
    connection.scheduled = connection.deadline();
    _deadlines.emplace(connection.scheduled, connection.fd());
}

/// The connection whose deadline this is; null when it is gone, or looked at some other time.
Connection* ConnectionLoop::scheduled(const Deadline& deadline) const
{
    const auto found = _connections.find(deadline.second);
    const bool is = found != _connections.end() && found->second->scheduled == deadline.first;
    return is ? found->second.get() : nullptr;
}

void ConnectionLoop::expire()
{
    const auto now = Clock::now();
    while (!_deadlines.empty())
    {
        Connection* connection = scheduled(_deadlines.top());
        if (connection != nullptr && _deadlines.top().first > now)
            break;
        _deadlines.pop();
        if (connection == nullptr)
            continue; // else the thread would wake up for a client that has left
        connection->scheduled = Clock::time_point::max();
        if (connection->deadline() <= now)
            connection->expire();
        advance(*connection);
    }
    if (!_listens && !_stopping.load() && now >= _listenAgain)
        listen(true);
}

/// Closes those that do least, of those who have the most.
void ConnectionLoop::evict(std::size_t count)
{
    std::vector<Evictable> candidates;
    const auto freshFrom = Clock::now() - freshTime;
    for (const auto& [fd, connection] : _connections)
        if (auto candidate = connection->evictable(freshFrom))
            candidates.push_back(std::move(*candidate));
    for (const int fd : chooseEvicted(candidates, count))
    {
        Connection& connection = *_connections[fd];
        if (connection.state() == State::Reading &&
            connection.reader().state() != RequestReader::State::Idle)
            connection.refuse(tooBusy("too many connections"));
        drop(fd);
    }
}

/// Closes those that have kept bytes in memory for the longest time; a single one may be large.
void ConnectionLoop::evictWriter()
{
    while (_held > mostHeldBytes)
    {
        std::optional<Evictable> oldest;
        int holders = 0;
        for (const auto& [fd, connection] : _connections)
        {
            if (connection->state() != State::Writing || connection->counted == 0)
                continue;
            ++holders;
            auto writer = connection->evictable({});
            if (!oldest || writer->since < oldest->since)
                oldest = std::move(writer);
        }
        if (holders < 2)
            return;
        drop(oldest->fd);
    }
}

/// At stop: only those stay who wait for an answer that is being made or sent.
void ConnectionLoop::dismiss()
{
    _stopUntil = Clock::now() + stopTime;
    if (_listens)
        listen(false);
    for (const int fd : _dispatcher.dismiss())
        if (const auto found = _connections.find(fd); found != _connections.end())
            found->second->refuse(tooBusy("the agent is stopping"));
    std::erase_if(_connections, [](const auto& entry) { return !answering(*entry.second); });
}

int ConnectionLoop::timeoutMs() const
{
    if (!_again.empty())
        return 0;
    auto next = _stopping.load() ? _stopUntil : Clock::time_point::max();
    if (!_deadlines.empty())
        next = std::min(next, _deadlines.top().first);
    if (!_listens && !_stopping.load())
        next = std::min(next, _listenAgain);
    if (next == Clock::time_point::max())
        return -1;
    const auto left = std::chrono::ceil<milliseconds>(next - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

} // namespace agent
