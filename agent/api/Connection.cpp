#include "agent/api/Connection.h"

#include "agent/api/Answer.h"

#include <algorithm>

#include <sys/epoll.h>

namespace agent
{
namespace
{

constexpr std::size_t readSize = 16'384;

// Enough for a client to see the answer before its upload fails, too little to be a burden.
constexpr std::int64_t drainLimit = 16 << 20;
constexpr std::chrono::milliseconds drainTime{2000};

} // namespace

Connection::Connection(std::unique_ptr<Transport> transport, Peer peer,
                       const ConnectionLimits& limits)
    : _transport(std::move(transport)),
      _peer(std::move(peer)),
      _limits(limits),
      _reader(limits.bodyBytes)
{
    enter(State::Handshaking, _limits.handshakeDeadline);
}

void Connection::enter(State state, std::chrono::milliseconds time)
{
    _state = state;
    _since = Clock::now();
    _deadline = _since + time;
}

std::optional<Evictable> Connection::evictable(Clock::time_point freshFrom) const
{
    using Use = Evictable::Use;
    if (_state != State::Draining && _state != State::Handshaking && _state != State::Reading &&
        _state != State::Writing)
        return std::nullopt;
    const bool idle =
        _state == State::Reading && _answered && _reader.state() == RequestReader::State::Idle;
    const Use use = _state == State::Draining ? Use::Draining
                    : idle                    ? Use::Idle
                    : _since > freshFrom      ? Use::Fresh
                                              : Use::Slow;
    return Evictable{fd(), shareOf(_peer), use, _since};
}

void Connection::hear(std::uint32_t events)
{
    const bool both = _transport->mixesDirections();
    _readable = _readable || both || (events & ~std::uint32_t{EPOLLOUT}) != 0;
    _writable = _writable || both || (events & ~std::uint32_t{EPOLLIN}) != 0;
    _hungUp = _hungUp || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (_hungUp && _state == State::Working)
        _gone.request_stop();
}

bool Connection::handshake()
{
    switch (_transport->handshake())
    {
    case Transport::Handshake::Done:
        // Who connects has something to say: the idle deadline is for those who said it.
        enter(State::Reading, _limits.headDeadline);
        break;
    case Transport::Handshake::Waits:
        return false;
    case Transport::Handshake::Plain:
        _transport = std::make_unique<PlainTransport>(_transport->release());
        refuse({.status = 400,
                .code = "tls_required",
                .message = "this port takes TLS only: the address begins with https://",
                .field = ""});
        break;
    case Transport::Handshake::Failed:
        _state = State::Closed;
        break;
    }
    return true;
}

bool Connection::receive()
{
    if (!_readable)
        return false;
    char buffer[readSize];
    const auto moved = _transport->receive(buffer, sizeof buffer);
    _readable = _hungUp || !moved.blocked;
    const auto before = _reader.state();
    if (moved.bytes > 0)
        _reader.feed({buffer, moved.bytes});
    else if (moved.ended)
    {
        if (_reader.end() != RequestReader::State::Refused)
            _state = State::Closed;
    }
    else
        _readable = false;
    if (_reader.takeContinue())
        // A client that takes no 25 bytes is found out by its body's deadline.
        (void)_transport->send("HTTP/1.1 100 Continue\r\n\r\n");
    if (_state == State::Reading)
        follow(before);
    return true;
}

void Connection::follow(RequestReader::State before)
{
    const auto now = _reader.state();
    if (now == RequestReader::State::Whole)
        _state = State::Ready;
    else if (now == RequestReader::State::Refused)
        refuse(_reader.refusal());
    else if (now != before && now == RequestReader::State::Head)
        enter(State::Reading, _limits.headDeadline);
    else if (now != before && now == RequestReader::State::Body)
        enter(State::Reading, _limits.bodyDeadline);
}

Request Connection::takeRequest()
{
    Request request = _reader.takeRequest(_peer);
    _gone = std::stop_source();
    request.gone = _gone.get_token();
    return request;
}

void Connection::work()
{
    enter(State::Working, std::chrono::milliseconds(0));
    _deadline = Clock::time_point::max();
    if (_hungUp)
        _gone.request_stop();
}

void Connection::respond(Response response, bool keepAlive)
{
    const Head& head = _reader.head();
    _answer.emplace(std::move(response), head, keepAlive && head.keepAlive && !head.chunked);
    enter(State::Writing, _limits.writeDeadline);
    _takenBefore = 0;
}

void Connection::addPage(std::string bytes, bool last)
{
    _answer->addPage(std::move(bytes), last);
    enter(State::Writing, _limits.writeDeadline);
    _takenBefore = taken();
}

bool Connection::write()
{
    if (!_writable)
        return false;
    switch (_answer->send(*_transport))
    {
    case AnswerWriter::Progress::Sent:
        finishAnswer();
        break;
    case AnswerWriter::Progress::Blocked:
        _writable = false;
        return false;
    case AnswerWriter::Progress::More:
        break;
    case AnswerWriter::Progress::PageDue:
        _state = State::PageDue;
        break;
    case AnswerWriter::Progress::HandOver:
        _state = State::HandOver;
        break;
    case AnswerWriter::Progress::Broken:
        _state = State::Closed;
        break;
    }
    return true;
}

void Connection::finishAnswer()
{
    const bool keepAlive = _answer->keepAlive();
    _answered = true;
    _answer.reset();
    if (keepAlive)
    {
        enter(State::Reading, _limits.idleDeadline);
        _reader.next();
        follow(RequestReader::State::Idle);
        return;
    }
    _transport->finish();
    if (!_reader.hasBytes() && !_transport->hasUnread())
    {
        _state = State::Closed;
        return;
    }
    // Closing now would be a reset that can overtake the answer.
    _reader.forget();
    enter(State::Draining, drainTime);
}

std::uint64_t Connection::taken() const
{
    const std::uint64_t sent = _answer->sent();
    return sent - std::min<std::uint64_t>(sent, _transport->unacknowledged());
}

void Connection::refuse(const Refusal& refusal)
{
    _answer.reset();
    _reader.forget();
    (void)_transport->send(closingAnswer(refusal));
    _transport->finish();
    _readable = true;
    enter(State::Draining, drainTime);
}

bool Connection::drain()
{
    if (!_readable)
        return false;
    char buffer[readSize];
    const auto moved = _transport->receive(buffer, sizeof buffer);
    _drained += static_cast<std::int64_t>(moved.bytes);
    if (moved.ended || _drained >= drainLimit)
        _state = State::Closed;
    _readable = !moved.blocked;
    return _readable;
}

void Connection::expire()
{
    if (_state == State::Writing && taken() >= _takenBefore + leastBytes)
    {
        enter(State::Writing, _limits.writeDeadline);
        _takenBefore = taken();
    }
    else if (_state == State::Reading && _reader.state() != RequestReader::State::Idle)
        refuse({.status = 408,
                .code = "request_timeout",
                .message = _reader.state() == RequestReader::State::Head
                               ? "the request head took too long"
                               : "the request body took too long",
                .field = ""});
    else
    {
        // An idle client is told that it has missed nothing; one in the middle of something is not.
        if (_state == State::Reading)
            _transport->finish();
        _state = State::Closed;
    }
}

void Connection::close()
{
    _state = State::Closed;
}

} // namespace agent
