#include "agent/store/LogReader.h"

#include "agent/store/LineCursor.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace agent
{

namespace
{

constexpr std::size_t blockBytes = 65536;

constexpr std::size_t maxAnswerBytes = 8388608;

/// Nothing also when the stage put something else there: it destroyed its own log.
std::optional<RegularFile> openLog(const std::filesystem::path& file)
{
    try
    {
        return RegularFile::open(file);
    }
    catch (const DamagedFile&)
    {
        return std::nullopt;
    }
}

} // namespace

std::optional<LogReader> LogReader::open(const std::filesystem::path& folder, Extent extent)
{
    // In this order: log.zst is complete before the log goes away.
    std::optional<RegularFile> plain = openLog(folder / files::log);
    std::optional<RegularFile> packed;
    if (!plain)
        packed = openLog(folder / packedLogName);
    if (!plain && !packed)
        return std::nullopt;
    const std::int64_t writtenUs = (plain ? *plain : *packed).writtenUs();
    LogIndex index(openLog(folder / files::logIndex), writtenUs);
    if (plain)
        return LogReader(std::move(*plain), std::move(index), extent);
    return LogReader(CompressedLog(std::move(*packed)), std::move(index), extent);
}

LogReader::LogReader(Log log, LogIndex index, Extent extent)
    : _log(std::move(log)), _index(std::move(index))
{
    refresh(extent);
}

void LogReader::refresh(Extent extent)
{
    _lineCount.reset();
    _size = std::visit([](const auto& log) { return log.size(); }, _log);
    _index.refresh(_size);
    if (extent == Extent::Indexed)
        _size = _index.covered(_size);
}

int LogReader::descriptor() const
{
    const auto* plain = std::get_if<RegularFile>(&_log);
    return plain != nullptr ? plain->descriptor() : -1;
}

std::size_t LogReader::read(std::uint64_t offset, char* buffer, std::size_t size)
{
    if (offset >= _size)
        return 0;
    size = static_cast<std::size_t>(std::min<std::uint64_t>(size, _size - offset));
    return std::visit([&](auto& log) { return log.read(offset, buffer, size); }, _log);
}

std::uint64_t LogReader::lineCount()
{
    if (_lineCount || _size == 0)
        return _lineCount.value_or(0);
    const LogIndexRecord last = _index.at(_index.size() - 1);
    std::uint64_t count = last.line;
    std::string block(blockBytes, '\0');
    char lastByte = '\n';
    std::uint64_t offset = last.offset;
    while (const std::size_t got = read(offset, block.data(), block.size()))
    {
        count += static_cast<std::uint64_t>(std::count(block.data(), block.data() + got, '\n'));
        lastByte = block[got - 1];
        offset += got;
    }
    _lineCount = count + (lastByte == '\n' ? 0 : 1);
    return *_lineCount;
}

std::optional<std::uint64_t> LogReader::lineStart(std::uint64_t number)
{
    std::optional<std::uint64_t> start = 0;
    if (number > 1)
    {
        const std::uint64_t ends = number - 1;
        const std::uint64_t after =
            _index.firstNot([ends](const LogIndexRecord& record) { return record.line < ends; });
        const LogIndexRecord chunk = _index.at(after - 1);
        start = afterLineEnds(chunk.offset, ends - chunk.line);
    }
    return start && *start < _size ? start : std::nullopt;
}

/// Returns the offset behind the `count`th line end from `offset` on.
std::optional<std::uint64_t> LogReader::afterLineEnds(std::uint64_t offset, std::uint64_t count)
{
    std::string block(blockBytes, '\0');
    while (const std::size_t got = read(offset, block.data(), block.size()))
    {
        const char* const end = block.data() + got;
        for (const char* at = block.data(); at != end; ++at)
        {
            at =
                static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
            if (at == nullptr)
                break;
            if (--count == 0)
                return offset + static_cast<std::uint64_t>(at - block.data()) + 1;
        }
        offset += got;
    }
    return std::nullopt;
}

std::vector<LogLine> LogReader::lines(std::uint64_t after, std::size_t limit)
{
    std::vector<LogLine> found;
    LineCursor cursor(*this, after);
    std::size_t answerBytes = 0;
    for (LogLine line; found.size() < limit && answerBytes < maxAnswerBytes && cursor.next(line);)
    {
        cursor.stamp(line);
        answerBytes += line.text.size();
        found.push_back(std::move(line));
    }
    return found;
}

std::uint64_t LogReader::tail(std::uint64_t count)
{
    const std::uint64_t all = lineCount();
    if (count == 0)
        return _size;
    return count >= all ? 0 : lineStart(all - count + 1).value_or(_size);
}

std::uint64_t LogReader::since(TimeMs time)
{
    const std::uint64_t number = _index.firstNot([time](const LogIndexRecord& record)
                                                 { return record.timeUs / 1000 < time; });
    return number < _index.size() ? std::min(_index.at(number).offset, _size) : _size;
}

} // namespace agent
