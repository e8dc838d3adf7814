#include "agent/ctl/LogTail.h"

#include "agent/ctl/Failure.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace agent::ctl
{

namespace
{

/// `2023-03-20T17:17:13.760Z ` before each line.
constexpr std::size_t stampBytes = 25;

bool success(const Answer& answer)
{
    return answer.status >= 200 && answer.status <= 299;
}

/// Returns whether there is nothing (more) to read: no log yet, or a range that begins at its end.
bool nothingToRead(const Answer& answer)
{
    return answer.status == 404 || answer.status == 416;
}

/// Returns the first offset of `Content-Range: bytes 100-199/200`; 0 without one.
std::uint64_t firstByte(const Answer& head)
{
    const auto found = head.headers.find("content-range");
    std::uint64_t first = 0;
    if (found == head.headers.end() || found->second.rfind("bytes ", 0) != 0)
        return first;
    const std::string_view text = std::string_view(found->second).substr(6);
    std::from_chars(text.data(), text.data() + text.size(), first);
    return first;
}

/// Returns the offset behind the last byte of `Content-Range: bytes 100-199/200`.
std::optional<std::uint64_t> endOfRange(const Answer& head)
{
    const auto found = head.headers.find("content-range");
    const std::size_t dash =
        found == head.headers.end() ? std::string::npos : found->second.find('-');
    if (dash == std::string::npos)
        return std::nullopt;
    std::uint64_t last = 0;
    const char* const end = found->second.data() + found->second.size();
    if (std::from_chars(found->second.data() + dash + 1, end, last).ec != std::errc{})
        return std::nullopt;
    return last + 1;
}

} // namespace

std::size_t lastLinesAt(std::string_view text, std::size_t lines)
{
    if (lines == 0)
        return text.size();
    std::size_t end = text.size();
    if (end > 0 && text[end - 1] == '\n')
        --end;
    while (end > 0)
    {
        if (text[end - 1] == '\n' && --lines == 0)
            return end;
        --end;
    }
    return 0;
}

Call LogTail::call(bool follow) const
{
    std::string query;
    const auto add = [&](const std::string& what) { query += (query.empty() ? "?" : "&") + what; };
    if (_choice.attempt)
        add("attempt=" + std::to_string(*_choice.attempt));
    if (_choice.timestamps)
        add("timestamps=1");
    if (follow)
        add("follow=1");
    Call call{.path = "/api/stages/" + _choice.stageId + "/log", .mayPause = follow};
    if (_choice.since && !_placed)
        add("since=" + encoded(formatTime(*_choice.since)));
    else if (_offset > 0)
        call.headers.emplace_back("Range", "bytes=" + std::to_string(_offset) + "-");
    call.path += query;
    return call;
}

/// The answer to `since` has the offset at which it begins.
void LogTail::begin(const Answer& head)
{
    const auto found = head.headers.find("log-offset");
    if (!_placed && found != head.headers.end())
        std::from_chars(found->second.data(), found->second.data() + found->second.size(), _offset);
    _placed = true;
}

/// Counts received bytes; the timestamps in front of lines are not part of the log.
void LogTail::advance(std::string_view piece)
{
    while (_choice.timestamps && !piece.empty())
    {
        const std::size_t stamp = std::min(stampBytes - _stamp, piece.size());
        _stamp += stamp;
        piece.remove_prefix(stamp);
        const std::size_t end = piece.find('\n');
        const std::size_t size = end == std::string_view::npos ? piece.size() : end + 1;
        _offset += size;
        piece.remove_prefix(size);
        if (end != std::string_view::npos)
            _stamp = 0;
    }
    _offset += piece.size();
}

Answer LogTail::get(const Call& call, const Sink& sink)
{
    // Skipped because received before: all bytes if the Range was ignored, and the beginning of a
    // timestamp in which the last answer was cut.
    std::uint64_t skipPlain = _choice.timestamps ? 0 : _offset;
    std::size_t skipStamp = _stamp < stampBytes ? _stamp : 0;
    Answer answer = _client.stream(
        call,
        [&](const Answer& head, std::string_view piece)
        {
            begin(head);
            const auto skipped = std::min<std::uint64_t>(
                head.status == 206 || call.headers.empty() ? 0 : skipPlain, piece.size());
            skipPlain -= skipped;
            piece.remove_prefix(skipped);
            const auto stamp = std::min(skipStamp, piece.size());
            skipStamp -= stamp;
            piece.remove_prefix(stamp);
            if (piece.empty())
                return;
            advance(piece);
            sink(piece);
        });
    if (success(answer))
        begin(answer); // even if the body is empty
    else if (!nothingToRead(answer))
        refuse(answer);
    return answer;
}

void LogTail::read(const Sink& sink)
{
    get(call(false), sink);
}

void LogTail::readRest(const Sink& sink)
{
    // A text with timestamps has no Content-Length, so a truncated answer looks complete: only an empty
    // answer at the end proves that it was not.
    Answer answer;
    do
        answer = get(call(false), sink);
    while (_choice.timestamps && _offset > 0 && success(answer));
}

bool LogTail::follow(const Sink& sink)
{
    const std::uint64_t before = _offset;
    try
    {
        get(call(true), sink);
    }
    catch (const Failure& failure)
    {
        // Not thrown: the caller polls, and counts the time of the outage from there.
        if (failure.exit() != Exit::Unreachable)
            throw;
    }
    return _offset > before;
}

void LogTail::readLast(std::size_t lines, const Sink& sink)
{
    // Most lines are shorter than 200 bytes; if there are too few, retry with four times the size.
    for (std::uint64_t wanted = std::max<std::uint64_t>(65536, lines * 200);; wanted *= 4)
    {
        std::string bytes;
        std::uint64_t first = 0;
        _offset = 0;
        _stamp = 0;
        Call call = this->call(false);
        if (!_choice.since) // with it, the answer begins at the right place and is read whole
            call.headers = {{"Range", "bytes=-" + std::to_string(wanted)}};
        const auto take = [&](const Answer& head, std::string_view piece)
        {
            if (bytes.empty() && first == 0)
                first = firstByte(head);
            bytes += piece;
            // The Range was ignored: keep no more of the log than is needed.
            if (bytes.size() > 2 * wanted + 65536)
            {
                const std::size_t at = lastLinesAt(bytes, lines);
                bytes.erase(0, at);
                first += at;
            }
        };
        const Answer answer = _client.stream(call,
                                             [&](const Answer& head, std::string_view piece)
                                             {
                                                 begin(head);
                                                 advance(piece);
                                                 take(head, piece);
                                             });
        if (nothingToRead(answer))
            return;
        if (!success(answer))
            refuse(answer);
        begin(answer);
        const std::size_t at = lastLinesAt(bytes, lines);
        if (at == 0 && first > 0 && answer.status == 206)
            continue;
        if (const auto end = endOfRange(answer))
        {
            _offset = *end;
            _stamp = bytes.empty() || bytes.back() == '\n' ? 0 : stampBytes;
        }
        if (at < bytes.size())
            sink(std::string_view(bytes).substr(at));
        return;
    }
}

} // namespace agent::ctl
