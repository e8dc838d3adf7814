#pragma once

#include "agent/api/Framing.h"
#include "agent/api/Http.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace agent
{

/// Turns the bytes of a connection into requests, one whole request at a time. Bytes behind it are kept
/// for the next one. Knows no socket.
/// Threads: one at a time.
class RequestReader
{
public:
    enum class State
    {
        Idle,    ///< no byte of the next request yet
        Head,    ///< part of a head
        Body,    ///< a whole head
        Whole,   ///< a whole request
        Refused, ///< refusal() is to be answered, and the connection closed
    };

    explicit RequestReader(std::int64_t bodyLimitBytes) : _bodyLimit(bodyLimitBytes) {}

    /// Takes what has arrived.
    State feed(std::string_view bytes);

    /// The client sends no more. Refuses a request that is not whole.
    State end();

    /// Leaves the whole request behind and goes on with the bytes that came along with it.
    State next();

    [[nodiscard]] State state() const { return _state; }
    [[nodiscard]] const Head& head() const { return _head; }
    [[nodiscard]] const Refusal& refusal() const { return _refusal; }
    [[nodiscard]] bool hasBytes() const { return !_bytes.empty(); }

    /// Returns true once when the client waits for `100 Continue` before it sends the body.
    bool takeContinue();

    /// The body may be so long that not every client can have one at the same time.
    [[nodiscard]] bool isLargeUpload() const;

    /// The whole request. Errors: Refusal 400 for a target that is none.
    Request takeRequest(const Peer& peer);

    /// Frees what has arrived: the connection is about to be closed.
    void forget();

private:
    void readHead();
    void readBody();
    void refuse(Refusal refusal);

    const std::int64_t _bodyLimit;
    State _state = State::Idle;
    std::string _bytes; ///< arrived and not yet part of head or body
    HeadScanner _scanner;
    Head _head;
    std::string _body;
    ChunkDecoder _chunks;
    bool _wantsContinue = false;
    Refusal _refusal;
};

} // namespace agent
