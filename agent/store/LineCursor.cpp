#include "agent/store/LineCursor.h"

#include <algorithm>

namespace agent
{

namespace
{

/// A line is cut when it fills more than maxLineBytes of it.
constexpr std::size_t windowBytes = 2 * LogReader::maxLineBytes;

} // namespace

LineCursor::LineCursor(LogReader& log, std::uint64_t after) : _log(log), _number(after)
{
    _place = log.size();
    if (after < log.lineCount())
        _place = log.lineStart(after + 1).value_or(_place);
    _windowBegin = _place;
}

bool LineCursor::next(LogLine& line)
{
    const std::uint64_t size = _log.size();
    if (_place >= size)
        return false;
    _begin = _place;
    std::size_t at = std::min<std::uint64_t>(_begin - _windowBegin, _window.size());
    std::size_t end = _window.find('\n', at);
    const bool moreToRead = _windowBegin + _window.size() < size;
    if (end == _window.npos && _window.size() - at <= LogReader::maxLineBytes && moreToRead)
    {
        _window.resize(std::min<std::uint64_t>(windowBytes, size - _begin));
        _window.resize(_log.read(_begin, _window.data(), _window.size()));
        _windowBegin = _begin;
        at = 0;
        end = _window.find('\n');
    }
    const std::size_t length = std::min(end, _window.size()) - at;
    line.number = _number + 1;
    if (length > LogReader::maxLineBytes)
        cut(line, std::string_view(_window).substr(at), _place);
    else
    {
        line.text.assign(_window, at, length);
        line.whole = end != _window.npos;
        _place = _begin + length + (line.whole ? 1 : 0);
    }
    if (_place == _begin)
        return false; // the file became shorter, which never happens: without this, no end
    ++_number;
    return true;
}

void LineCursor::stamp(LogLine& line)
{
    const LogIndexRecord& chunk = _log.chunkOf(_begin);
    line.timeMs = chunk.timeUs / 1000;
    line.stream = chunk.stream;
}

void LineCursor::rest()
{
    _window = {};
    _windowBegin = _place;
}

void LineCursor::cut(LogLine& line, std::string_view window, std::uint64_t& next)
{
    constexpr std::size_t most = LogReader::maxLineBytes;
    next = _log.lineStart(line.number + 1).value_or(_log.size());
    char last = '\0';
    _log.read(next - 1, &last, 1);
    const std::uint64_t length = next - _begin - (last == '\n' ? 1 : 0);
    line.text = std::string(window.substr(0, most)) + " [line cut here, " +
                std::to_string(length - most) + " more bytes]";
    line.whole = last == '\n';
}

} // namespace agent
