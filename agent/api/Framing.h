#pragma once

#include "agent/api/Http.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>

namespace agent
{

/// A request head: what decides where the request ends and what becomes of its connection, and its headers.
struct Head
{
    std::string method;
    std::string target;    ///< origin form, printable ASCII
    std::string authority; ///< of a target that was a URL: what the header host says, too
    bool version11 = true;
    std::int64_t contentLength = 0;
    bool chunked = false;
    bool keepAlive = true;
    bool expectContinue = false;
    std::size_t size = 0; ///< bytes of the head, with the empty line

    /// Names in lower case. Several of one name become a list (RFC 9110 section 5.3), which no
    /// single-valued header is equal to.
    std::map<std::string, std::string> headers;
};

/// Finds the end of a request head in bytes that arrive bit by bit, and refuses at once what can't
/// become one: TLS, bare LF, control characters, too long a head.
class HeadScanner
{
public:
    static constexpr std::size_t headLimit = 32'768;
    static constexpr std::size_t targetLimit = 8'192;

    enum class State
    {
        Partial,
        Whole,
        Malformed,
        TooLarge,
    };

    /// Looks at what is new in `bytes`, which hold everything since the head's first byte.
    State scan(std::string_view bytes);

    /// Bytes of the whole head, with the empty line.
    [[nodiscard]] std::size_t size() const { return _position; }

private:
    std::size_t _position = 0;
    std::size_t _lineStart = 0;
    bool _firstLine = true;
};

/// Judges a whole head (as HeadScanner found it) more strictly than RFC 9112 asks: whatever two
/// parsers could read differently is refused.
/// Returns the head, or the refusal to answer before the connection is closed.
/// Source: RFC 9112 sections 3, 5, 6; RFC 9110 section 10.1.1.
std::variant<Head, Refusal> parseHead(std::string_view bytes);

/// Decodes a chunked body that arrives bit by bit. Extensions are ignored, trailers are malformed.
/// Source: RFC 9112 section 7.1.
class ChunkDecoder
{
public:
    enum class State
    {
        Partial,
        Done,
        Malformed,
        TooLarge,
    };

    /// Appends the decoded part of `bytes` to `body`, never past `limit` bytes of body.
    /// Returns how many of `bytes` were used; the rest belongs to the next request.
    std::size_t feed(std::string_view bytes, std::string& body, std::int64_t limit);

    [[nodiscard]] State state() const { return _state; }

private:
    enum class Expect
    {
        FirstDigit,
        Digit,
        Extension,
        SizeLf,
        Data,
        DataCr,
        DataLf,
        LastCr,
        LastLf,
    };

    void step(char byte);

    State _state = State::Partial;
    Expect _expect = Expect::FirstDigit;
    std::int64_t _left = 0;
    int _lineBytes = 0;
};

} // namespace agent
