#include "agent/api/Connection.h"

#include "agent/api/Answer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace agent
{
namespace
{

constexpr std::size_t readSize = 16'384;

// Enough for a client to see the answer before its upload fails, too little to be a burden.
constexpr std::int64_t drainLimit = 16 << 20;
constexpr std::chrono::milliseconds drainTime{2000};

bool waitFor(int fd, short events, std::chrono::milliseconds time)
{
    const auto end = Connection::Clock::now() + time;
    while (true)
    {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(end - Connection::Clock::now());
        pollfd entry{.fd = fd, .events = events, .revents = 0};
        const int ready =
            ::poll(&entry, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        if (ready >= 0 || errno != EINTR)
            return ready > 0;
    }
}

Refusal bodyTooLarge(std::int64_t limit)
{
    return {.status = 413,
            .code = "body_too_large",
            .message = "the body is over " + std::to_string(limit) + " bytes",
            .field = ""};
}

} // namespace

Connection::Connection(int fd, const Poco::Net::SocketAddress& peer,
                       const Poco::Net::SocketAddress& local, const ConnectionLimits& limits)
    : _fd(fd), _peer(peer), _local(local), _limits(limits)
{
    // Who connects has something to say: the idle deadline is for those who said it.
    enter(State::Idle, _limits.headDeadline);
}

Connection::~Connection()
{
    ::close(_fd);
}

void Connection::enter(State state, std::chrono::milliseconds time)
{
    _state = state;
    _deadline = Clock::now() + time;
}

Connection::State Connection::receive()
{
    char buffer[readSize];
    while (_state == State::Idle || _state == State::Head || _state == State::Body)
    {
        const ssize_t got = ::recv(_fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got > 0)
        {
            _bytes.append(buffer, static_cast<std::size_t>(got));
            process();
        }
        else if (got < 0 && errno == EINTR)
            continue;
        else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        else if (got == 0 && _state != State::Idle)
            refuse({.status = 400,
                    .code = "malformed_request",
                    .message = "the request ended before it was whole",
                    .field = ""});
        else
            _state = State::Closed;
    }
    return _state;
}

Connection::State Connection::next()
{
    _scanner = {};
    _chunks = {};
    _head = {};
    _headBytes.clear();
    _body.clear();
    enter(State::Idle, _limits.idleDeadline);
    return process();
}

bool Connection::waitReadable(std::chrono::milliseconds time) const
{
    return waitFor(_fd, POLLIN, time);
}

Connection::State Connection::process()
{
    if (_state == State::Idle && !_bytes.empty())
        enter(State::Head, _limits.headDeadline);
    if (_state == State::Head)
        processHead();
    if (_state == State::Body)
        processBody();
    return _state;
}

Connection::State Connection::processHead()
{
    switch (_scanner.scan(_bytes))
    {
    case HeadScanner::State::Partial:
        return _state;
    case HeadScanner::State::Malformed:
        refuse({.status = 400,
                .code = "malformed_request",
                .message = "this is no HTTP/1.1 request head",
                .field = ""});
        return _state;
    case HeadScanner::State::TooLarge:
        refuse({.status = 431,
                .code = "head_too_large",
                .message = "the request head is too large",
                .field = ""});
        return _state;
    case HeadScanner::State::Whole:
        break;
    }
    auto parsed = parseHead(std::string_view(_bytes).substr(0, _scanner.size()));
    if (auto* refusal = std::get_if<Refusal>(&parsed))
    {
        refuse(std::move(*refusal));
        return _state;
    }
    _head = std::get<Head>(std::move(parsed));
    _headBytes.assign(_bytes, 0, _head.size);
    _headBytes.erase(_head.expectStart, _head.expectSize);
    _bytes.erase(0, _head.size);
    if (_head.contentLength > _limits.bodyBytes)
    {
        refuse(bodyTooLarge(_limits.bodyBytes));
        return _state;
    }
    enter(State::Body, _limits.bodyDeadline);
    const bool bodyComes = _head.chunked || _head.contentLength > 0;
    if (_head.expectContinue && bodyComes && _bytes.empty())
    {
        constexpr std::string_view goOn = "HTTP/1.1 100 Continue\r\n\r\n";
        // A client that takes no 25 bytes is found out by its body's deadline.
        (void)::send(_fd, goOn.data(), goOn.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return _state;
}

Connection::State Connection::processBody()
{
    if (!_head.chunked)
    {
        const std::size_t missing = static_cast<std::size_t>(_head.contentLength) - _body.size();
        const std::size_t part = std::min(missing, _bytes.size());
        _body.append(_bytes, 0, part);
        _bytes.erase(0, part);
        if (part == missing)
            _state = State::Ready;
        return _state;
    }
    _bytes.erase(0, _chunks.feed(_bytes, _body, _limits.bodyBytes));
    switch (_chunks.state())
    {
    case ChunkDecoder::State::Partial:
        break;
    case ChunkDecoder::State::Done:
        _state = State::Ready;
        break;
    case ChunkDecoder::State::Malformed:
        refuse({.status = 400,
                .code = "malformed_request",
                .message = "the chunked body is malformed",
                .field = ""});
        break;
    case ChunkDecoder::State::TooLarge:
        refuse(bodyTooLarge(_limits.bodyBytes));
        break;
    }
    return _state;
}

void Connection::refuse(Refusal refusal)
{
    _refusal = std::move(refusal);
    enter(State::Refused, drainTime);
}

void Connection::answerRefusal()
{
    _bytes = {};
    _body = {};
    const std::string answer = closingAnswer(_refusal);
    (void)::send(_fd, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::shutdown(_fd, SHUT_WR);
}

bool Connection::drain()
{
    char buffer[readSize];
    while (_drained < drainLimit)
    {
        const ssize_t got = ::recv(_fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        _drained += got;
    }
    return false;
}

bool Connection::hasUnread() const
{
    char byte = 0;
    return !_bytes.empty() || ::recv(_fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

bool Connection::waitWritable() const
{
    return waitFor(_fd, POLLOUT, _limits.writeDeadline);
}

bool Connection::send(std::string_view first, std::string_view second, bool more)
{
    while (!first.empty() || !second.empty())
    {
        iovec parts[2] = {{const_cast<char*>(first.data()), first.size()},
                          {const_cast<char*>(second.data()), second.size()}};
        msghdr message{};
        message.msg_iov = parts;
        message.msg_iovlen = 2;
        const ssize_t sent =
            ::sendmsg(_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
        if (sent >= 0)
        {
            const auto count = static_cast<std::size_t>(sent);
            const std::size_t ofFirst = std::min(count, first.size());
            first.remove_prefix(ofFirst);
            second.remove_prefix(count - ofFirst);
        }
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
        {
            if (!waitWritable())
                return false;
        }
        else if (errno != EINTR)
            return false;
    }
    return true;
}

bool Connection::sendFile(int file, std::int64_t offset, std::int64_t length)
{
    // The kernel caps a call at 2 GiB; small steps let a slow reader's progress be seen.
    constexpr std::int64_t step = 1 << 20;
    off_t position = offset;
    const std::int64_t end = offset + length;
    while (position < end)
    {
        const auto want = static_cast<std::size_t>(std::min(step, end - position));
        const ssize_t sent = ::sendfile(_fd, file, &position, want);
        if (sent > 0 || (sent < 0 && errno == EINTR))
            continue;
        if (sent == 0 || (errno != EAGAIN && errno != EWOULDBLOCK) || !waitWritable())
            return false;
    }
    return true;
}

void Connection::makeBlocking() const
{
    const int flags = ::fcntl(_fd, F_GETFL);
    ::fcntl(_fd, F_SETFL, flags & ~O_NONBLOCK);
    const auto time = _limits.writeDeadline.count();
    const timeval limit{.tv_sec = time / 1000, .tv_usec = time % 1000 * 1000};
    ::setsockopt(_fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

} // namespace agent
