#pragma once

#include "agent/api/AnswerWriter.h"
#include "agent/api/Eviction.h"
#include "agent/api/Peer.h"
#include "agent/api/RequestReader.h"
#include "agent/api/Transport.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace agent
{

struct ConnectionLimits
{
    std::int64_t bodyBytes = 0;
    std::chrono::milliseconds handshakeDeadline{};
    std::chrono::milliseconds headDeadline{};
    std::chrono::milliseconds bodyDeadline{};
    std::chrono::milliseconds idleDeadline{};
    std::chrono::milliseconds writeDeadline{};
};

/// One client: its socket, the request that is arriving, the answer that is leaving. No call blocks. What
/// is next is its state; ConnectionLoop::advance() goes through the states.
/// Threads: the loop's.
class Connection
{
public:
    using Clock = std::chrono::steady_clock;

    enum class State
    {
        Handshaking, ///< the encryption is being agreed on
        Reading,     ///< a request is awaited or arriving
        Ready,       ///< a whole request is there
        Working,     ///< a worker makes the answer, or its next page
        Writing,     ///< the answer is leaving
        PageDue,     ///< the next page of the answer is to be made
        HandOver,    ///< the head was sent and the connection leaves the server
        Draining,    ///< answered and half closed: what still arrives is thrown away
        Closed,
    };

    /// In state Writing a client must take so many bytes in each write deadline, or all there are:
    /// 546 bytes/s with the default of 30 s. Slower ones are not people on bad lines.
    static constexpr std::uint64_t leastBytes = 16'384;

    Connection(std::unique_ptr<Transport> transport, Peer peer, const ConnectionLimits& limits);

    [[nodiscard]] int fd() const { return _transport->fd(); }
    [[nodiscard]] State state() const { return _state; }
    [[nodiscard]] const RequestReader& reader() const { return _reader; }

    /// What would be lost if it were closed now, and since when; nothing while a worker makes its answer.
    /// While it writes, that is when the client last took enough. One that began after `freshFrom`, and is
    /// not merely kept open, is fresh.
    [[nodiscard]] std::optional<Evictable> evictable(Clock::time_point freshFrom) const;

    /// When the client will have had its time; max() in state Working.
    [[nodiscard]] Clock::time_point deadline() const { return _deadline; }

    /// What the kernel tells of the socket, as of epoll.
    void hear(std::uint32_t events);

    /// In state Handshaking. Returns false when the client has to act first.
    bool handshake();

    /// Each does what its state asks for, and returns false when the client has to act first.
    bool receive();
    bool write();
    bool drain();

    /// In state Ready. `gone` of the request is asked to stop when the client closes.
    Request takeRequest();
    void work();

    /// In state Ready or Working.
    void respond(Response response, bool keepAlive);
    void addPage(std::string bytes, bool last);
    [[nodiscard]] const AnswerWriter& answer() const { return *_answer; }

    /// Sends a refusal as far as the kernel takes it, and closes after it.
    void refuse(const Refusal& refusal);

    /// The deadline has passed.
    void expire();
    void close();

    /// In state HandOver: gives the socket away.
    std::unique_ptr<Transport> release() { return std::move(_transport); }

    /// Bytes of answers that it keeps in memory.
    [[nodiscard]] std::size_t held() const { return _answer ? _answer->held() : 0; }

    Clock::time_point scheduled =
        Clock::time_point::max(); ///< the loop's: when it looks at the deadline
    std::size_t counted = 0;      ///< the loop's: of held()

private:
    void enter(State state, std::chrono::milliseconds time);
    void follow(RequestReader::State before);
    void finishAnswer();
    [[nodiscard]] std::uint64_t taken() const;

    std::unique_ptr<Transport> _transport;
    const Peer _peer;
    const ConnectionLimits& _limits;
    State _state = State::Handshaking;
    Clock::time_point _deadline;
    Clock::time_point _since;
    RequestReader _reader;
    std::optional<AnswerWriter> _answer;
    std::stop_source _gone{std::nostopstate};
    bool _readable = true;          ///< bytes may have arrived
    bool _writable = true;          ///< the kernel may take bytes
    bool _hungUp = false;           ///< the client has closed its side
    std::uint64_t _takenBefore = 0; ///< bytes that the client had taken at _since
    std::int64_t _drained = 0;
    bool _answered = false; ///< one request at least
};

} // namespace agent
