#include "agent/store/TimestampedLog.h"

#include <algorithm>
#include <string_view>

namespace agent
{

namespace
{

constexpr std::size_t blockBytes = 8192;

} // namespace

TimestampedLog::TimestampedLog(LogReader& reader, std::uint64_t begin, std::uint64_t end)
    : _reader(reader), _position(begin), _end(std::min(end, reader.size()))
{
    char before = '\n';
    if (begin > 0)
        _reader.read(begin - 1, &before, 1);
    _atLineStart = before == '\n';
}

bool TimestampedLog::next(std::string& out)
{
    if (_position >= _end)
        return false;
    _block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(blockBytes, _end - _position)));
    _block.resize(_reader.read(_position, _block.data(), _block.size()));
    for (std::string_view rest = _block; !rest.empty();)
    {
        if (_atLineStart)
            appendStamp(out);
        const std::size_t end = rest.find('\n');
        _atLineStart = end != rest.npos;
        const std::size_t size = _atLineStart ? end + 1 : rest.size();
        out.append(rest.substr(0, size));
        rest.remove_prefix(size);
        _position += size;
    }
    return !_block.empty();
}

void TimestampedLog::appendStamp(std::string& out)
{
    const TimeMs time = _reader.chunkOf(_position).timeUs / 1000;
    if (_stamp.empty() || time != _stampTime)
    {
        _stampTime = time;
        _stamp = formatTime(time) + ' ';
    }
    out += _stamp;
}

} // namespace agent
