#include "agent/ctl/LogTail.h"

#include "agent/ctl/Failure.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace agent::ctl
{

namespace
{

bool success(const Answer& answer)
{
    return answer.status >= 200 && answer.status <= 299;
}

/// An answer that says "nothing (more) there": no log yet, or a range that begins at its end.
bool nothingThere(const Answer& answer)
{
    return answer.status == 404 || answer.status == 416;
}

/// The first byte's place of `bytes 100-199/200`; 0 where it says nothing.
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

/// Where the bytes end of which `bytes 100-199/200` tells; nothing where it says nothing.
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

std::string LogTail::path() const
{
    std::string query;
    if (_choice.attempt)
        query += "?attempt=" + std::to_string(*_choice.attempt);
    if (_choice.timestamps)
        query += query.empty() ? "?timestamps=1" : "&timestamps=1";
    return "/api/stages/" + _choice.stageId + "/log" + query;
}

void LogTail::read(const Sink& sink)
{
    Call call{.path = path()};
    // With timestamps only the answer to a range says how much of the log it shows.
    if (_offset > 0 || _choice.timestamps)
        call.headers.emplace_back("Range", "bytes=" + std::to_string(_offset) + "-");
    std::uint64_t skip = _offset; // of an answer that begins at 0 all the same
    const Answer answer = _client.stream(call,
                                         [&](const Answer& head, std::string_view piece)
                                         {
                                             if (head.status != 206)
                                             {
                                                 const auto skipped =
                                                     std::min<std::uint64_t>(skip, piece.size());
                                                 piece.remove_prefix(skipped);
                                                 skip -= skipped;
                                             }
                                             _offset += _choice.timestamps ? 0 : piece.size();
                                             if (!piece.empty())
                                                 sink(piece);
                                         });
    if (!success(answer) && !nothingThere(answer))
        refuse(answer);
    if (_choice.timestamps && answer.status == 206)
        _offset = endOfRange(answer).value_or(_offset);
}

void LogTail::readLast(std::size_t lines, const Sink& sink)
{
    // Most lines are shorter than 200 bytes; a try that gave too few is made again with four times more.
    for (std::uint64_t wanted = std::max<std::uint64_t>(65536, lines * 200);; wanted *= 4)
    {
        std::string bytes;
        std::uint64_t first = 0;
        const Answer answer = _client.stream(
            {.path = path(), .headers = {{"Range", "bytes=-" + std::to_string(wanted)}}},
            [&](const Answer& head, std::string_view piece)
            {
                if (bytes.empty() && first == 0)
                    first = firstByte(head);
                bytes += piece;
                // A whole log in place of its end: keep no more of it than is needed.
                if (bytes.size() > 2 * wanted + 65536)
                {
                    const std::size_t at = lastLinesAt(bytes, lines);
                    bytes.erase(0, at);
                    first += at;
                }
            });
        if (nothingThere(answer))
            return;
        if (!success(answer))
            refuse(answer);
        const std::size_t at = lastLinesAt(bytes, lines);
        if (at == 0 && first > 0 && answer.status == 206)
            continue;
        _offset = endOfRange(answer).value_or(first + bytes.size());
        if (at < bytes.size())
            sink(std::string_view(bytes).substr(at));
        return;
    }
}

} // namespace agent::ctl
