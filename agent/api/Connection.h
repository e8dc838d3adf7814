#pragma once

#include "agent/api/Framing.h"
#include "agent/api/Http.h"

#include <Poco/Net/SocketAddress.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace agent
{

struct ConnectionLimits
{
    std::int64_t bodyBytes = 0;
    std::chrono::milliseconds headDeadline{};
    std::chrono::milliseconds bodyDeadline{};
    std::chrono::milliseconds idleDeadline{};
    std::chrono::milliseconds writeDeadline{};
};

/// One client's socket and the request that is arriving on it. Reads never block; the one that waits
/// for bytes is the Lobby, so that a slow client costs a few kilobytes and no thread.
/// Threads: one at a time.
/// Owner: of the descriptor.
class Connection
{
public:
    using Clock = std::chrono::steady_clock;

    enum class State
    {
        Idle,    ///< no byte of the next request yet
        Head,    ///< a part of a head
        Body,    ///< a whole head
        Ready,   ///< a whole request
        Refused, ///< refusal() is to be answered
        Closed,  ///< the client is gone
    };

    /// `fd` is a connected, non-blocking socket.
    Connection(int fd, const Poco::Net::SocketAddress& peer, const Poco::Net::SocketAddress& local,
               const ConnectionLimits& limits);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    [[nodiscard]] int fd() const { return _fd; }
    [[nodiscard]] const Poco::Net::SocketAddress& peer() const { return _peer; }
    [[nodiscard]] const Poco::Net::SocketAddress& local() const { return _local; }
    [[nodiscard]] State state() const { return _state; }

    /// When the client will have had its time in this state.
    [[nodiscard]] Clock::time_point deadline() const { return _deadline; }

    /// Reads what has arrived, until the request is whole: bytes behind it stay where they are.
    State receive();

    /// Leaves the answered request behind and goes on with bytes that came along with it.
    State next();

    /// Waits for the next request's first byte.
    /// Errors: false after `time`.
    [[nodiscard]] bool waitReadable(std::chrono::milliseconds time) const;

    /// Turns the connection into a refused one, as the time ran out or too many are there.
    void refuse(Refusal refusal);

    /// In state Refused: sends the refusal, as far as the kernel takes it, and no more after it.
    void answerRefusal();

    /// After answerRefusal(): throws away what still arrives, for a client that reads only after it
    /// has written all must not see a reset in place of the answer.
    /// Errors: false when it is to be closed now.
    bool drain();

    [[nodiscard]] const Head& head() const { return _head; }
    [[nodiscard]] std::string_view headBytes() const { return _headBytes; }
    [[nodiscard]] std::string takeBody() { return std::move(_body); }

    /// Says whether bytes are there that nobody will read: then a close would be a reset.
    [[nodiscard]] bool hasUnread() const;

    /// Sends both parts, with one system call where the kernel takes them at once.
    /// Errors: false when the client is gone or took no byte for the write deadline.
    bool send(std::string_view first, std::string_view second, bool more = false);

    /// Sends a part of a file without reading it.
    /// Errors: as send(); also false when the file is shorter.
    bool sendFile(int file, std::int64_t offset, std::int64_t length);

    /// Makes the socket an ordinary blocking one for whoever takes it over.
    void makeBlocking() const;

private:
    State process();
    State processHead();
    State processBody();
    void enter(State state, std::chrono::milliseconds time);
    [[nodiscard]] bool waitWritable() const;

    const int _fd;
    const Poco::Net::SocketAddress _peer;
    const Poco::Net::SocketAddress _local;
    const ConnectionLimits& _limits;
    State _state = State::Idle;
    Clock::time_point _deadline;
    std::string _bytes; ///< arrived and not yet part of head or body
    HeadScanner _scanner;
    Head _head;
    std::string _headBytes;
    std::string _body;
    ChunkDecoder _chunks;
    Refusal _refusal;
    std::int64_t _drained = 0;
};

} // namespace agent
