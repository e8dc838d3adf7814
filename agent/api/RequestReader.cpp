#include "agent/api/RequestReader.h"

#include "agent/api/Guard.h"

#include <algorithm>
#include <utility>

namespace agent
{

namespace
{

Refusal malformed(const std::string& message)
{
    return {.status = 400, .code = "malformed_request", .message = message, .field = ""};
}

Refusal bodyTooLarge(std::int64_t limit)
{
    return {.status = 413,
            .code = "body_too_large",
            .message = "the body is over " + std::to_string(limit) + " bytes",
            .field = ""};
}

} // namespace

RequestReader::State RequestReader::feed(std::string_view bytes)
{
    _bytes += bytes;
    if (_state == State::Idle && !_bytes.empty())
        _state = State::Head;
    if (_state == State::Head)
        readHead();
    if (_state == State::Body)
        readBody();
    return _state;
}

RequestReader::State RequestReader::end()
{
    if (_state == State::Head || _state == State::Body)
        refuse(malformed("the request ended before it was whole"));
    return _state;
}

RequestReader::State RequestReader::next()
{
    _scanner = {};
    _chunks = {};
    _head = {};
    _body.clear();
    _wantsContinue = false;
    _state = State::Idle;
    return feed({});
}

bool RequestReader::takeContinue()
{
    return std::exchange(_wantsContinue, false);
}

bool RequestReader::isLargeUpload() const
{
    constexpr std::int64_t large = 65'536;
    return _state == State::Body && (_head.chunked || _head.contentLength > large);
}

Request RequestReader::takeRequest(const Peer& peer)
{
    Request request;
    // A HEAD is a GET whose body is not sent.
    request.method = _head.method == "HEAD" ? "GET" : _head.method;
    Target target = parseTarget(_head.target);
    request.path = std::move(target.path);
    request.segments = std::move(target.segments);
    request.query = std::move(target.query);
    request.headers = std::move(_head.headers);
    request.body = std::move(_body);
    request.peer = peer;
    request.actor = peer.door == Peer::Door::Unix ? std::to_string(peer.uid) : peer.address;
    return request;
}

void RequestReader::forget()
{
    _bytes = {};
    _body = {};
}

void RequestReader::readHead()
{
    switch (_scanner.scan(_bytes))
    {
    case HeadScanner::State::Partial:
        return;
    case HeadScanner::State::Malformed:
        return refuse(malformed("this is no HTTP/1.1 request head"));
    case HeadScanner::State::TooLarge:
        return refuse({.status = 431,
                       .code = "head_too_large",
                       .message = "the request head is too large",
                       .field = ""});
    case HeadScanner::State::Whole:
        break;
    }
    auto parsed = parseHead(std::string_view(_bytes).substr(0, _scanner.size()));
    if (auto* refusal = std::get_if<Refusal>(&parsed))
        return refuse(std::move(*refusal));
    _head = std::get<Head>(std::move(parsed));
    _bytes.erase(0, _head.size);
    if (_head.contentLength > _bodyLimit)
        return refuse(bodyTooLarge(_bodyLimit));
    _state = State::Body;
    const bool bodyComes = _head.chunked || _head.contentLength > 0;
    _wantsContinue = _head.expectContinue && bodyComes && _bytes.empty();
}

void RequestReader::readBody()
{
    if (!_head.chunked)
    {
        const std::size_t missing = static_cast<std::size_t>(_head.contentLength) - _body.size();
        const std::size_t part = std::min(missing, _bytes.size());
        _body.append(_bytes, 0, part);
        _bytes.erase(0, part);
        if (part == missing)
            _state = State::Whole;
        return;
    }
    _bytes.erase(0, _chunks.feed(_bytes, _body, _bodyLimit));
    switch (_chunks.state())
    {
    case ChunkDecoder::State::Partial:
        return;
    case ChunkDecoder::State::Done:
        _state = State::Whole;
        return;
    case ChunkDecoder::State::Malformed:
        return refuse(malformed("the chunked body is malformed"));
    case ChunkDecoder::State::TooLarge:
        return refuse(bodyTooLarge(_bodyLimit));
    }
}

void RequestReader::refuse(Refusal refusal)
{
    _refusal = std::move(refusal);
    _state = State::Refused;
}

} // namespace agent
