#include "agent/api/AnswerWriter.h"

#include "agent/api/Answer.h"

#include <Poco/NumberFormatter.h>

#include <algorithm>

namespace agent
{

namespace
{

// What a fast client is sent before others have their turn.
constexpr std::int64_t turnBytes = 1 << 20;

} // namespace

AnswerWriter::AnswerWriter(Response response, const Head& head, bool keepAlive)
    : _response(std::move(response)),
      _keepAlive(keepAlive),
      _bodyless(head.method == "HEAD" || _response.status == 204 || _response.status == 304)
{
    std::optional<std::int64_t> length;
    if (_response.takeOver)
        _keepAlive = false;
    else if (_response.pages)
    {
        length = _response.pages->length;
        _chunked = !length && head.version11;
        _keepAlive = _keepAlive && (_chunked || length);
        _pagesLeft = !_bodyless;
        if (_chunked)
            _response.headers["Transfer-Encoding"] = "chunked";
    }
    else if (_response.file)
    {
        length = _response.file->length;
        _fileOffset = _response.file->offset;
        _fileLeft = _bodyless ? 0 : *length;
    }
    else
    {
        const std::string& body = _response.cached ? *_response.cached : _response.body;
        length = static_cast<std::int64_t>(body.size());
        if (!_bodyless)
            _second = body;
    }
    _head = answerHead(_response, length,
                       !_keepAlive      ? "close"
                       : head.version11 ? ""
                                        : "keep-alive");
    _first = _head;
}

AnswerWriter::Progress AnswerWriter::send(Transport& transport)
{
    auto progress = Progress::Sent;
    if (!sendBytes(transport, progress) || !sendFile(transport, progress))
        return progress;
    if (_pagesLeft)
        return Progress::PageDue;
    return _response.takeOver && !_bodyless ? Progress::HandOver : Progress::Sent;
}

bool AnswerWriter::sendBytes(Transport& transport, Progress& progress)
{
    while (!_first.empty() || !_second.empty())
    {
        const auto moved = transport.send(_first, _second);
        if (moved.blocked || moved.ended)
        {
            progress = moved.ended ? Progress::Broken : Progress::Blocked;
            return false;
        }
        _sent += moved.bytes;
        const std::size_t ofFirst = std::min(moved.bytes, _first.size());
        _first.remove_prefix(ofFirst);
        _second.remove_prefix(moved.bytes - ofFirst);
    }
    return true;
}

bool AnswerWriter::sendFile(Transport& transport, Progress& progress)
{
    const std::int64_t stop = std::max<std::int64_t>(0, _fileLeft - turnBytes);
    while (_fileLeft > stop)
    {
        const auto moved =
            transport.sendFile(*_response.file->descriptor, _fileOffset,
                               static_cast<std::size_t>(std::min(_fileLeft, turnBytes)));
        if (moved.bytes == 0)
        {
            progress = moved.blocked ? Progress::Blocked : Progress::Broken;
            return false;
        }
        _sent += moved.bytes;
        _fileOffset += static_cast<std::int64_t>(moved.bytes);
        _fileLeft -= static_cast<std::int64_t>(moved.bytes);
    }
    progress = Progress::More;
    return _fileLeft == 0;
}

void AnswerWriter::addPage(std::string bytes, bool last)
{
    _head.clear();
    _page = std::move(bytes);
    if (_chunked)
    {
        if (!_page.empty())
        {
            _head = Poco::NumberFormatter::formatHex(_page.size()) + "\r\n";
            _page += "\r\n";
        }
        if (last)
            _page += "0\r\n\r\n";
    }
    _first = _head;
    _second = _page;
    _pagesLeft = !last;
}

std::size_t AnswerWriter::held() const
{
    return _response.body.capacity() + _page.capacity();
}

} // namespace agent
