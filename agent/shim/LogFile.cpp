#include "agent/shim/LogFile.h"

#include "agent/os/Files.h"
#include "agent/os/RegularFile.h"
#include "agent/wire/Failpoint.h"
#include "agent/wire/Order.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace agent
{
namespace
{

constexpr std::uint64_t mebibyte = 1024UL * 1024;
constexpr const char* tailName = "log.tail";

/// So many changes of stream are kept of the tail; more are told as one.
constexpr std::size_t maxTailChunks = 4096;

std::int64_t wallClockUs()
{
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

/// By sixteen bytes at a time: to look for one line end after the other took as long as to read the pipe.
std::uint64_t lineEnds(std::string_view bytes)
{
    using Lanes [[gnu::vector_size(16)]] = std::uint8_t;
    constexpr std::size_t most = 255; // of what a lane counts to
    std::uint64_t count = 0;
    while (bytes.size() >= sizeof(Lanes))
    {
        Lanes counts{};
        for (std::size_t i = 0; i < most && bytes.size() >= sizeof(Lanes); ++i)
        {
            Lanes lanes;
            std::memcpy(&lanes, bytes.data(), sizeof lanes);
            counts -= static_cast<Lanes>(lanes == '\n'); // true is -1
            bytes.remove_prefix(sizeof lanes);
        }
        for (std::size_t lane = 0; lane < sizeof counts; ++lane)
            count += counts[lane];
    }
    return count + static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
}

} // namespace

std::size_t sizeOf(std::span<const std::string_view> texts)
{
    std::size_t size = 0;
    for (const std::string_view text : texts)
        size += text.size();
    return size;
}

LogFile::LogFile(std::string folder, std::int64_t maxBytes) : _folder(std::move(folder))
{
    constexpr int access = O_WRONLY | O_APPEND;
    if (maxBytes > 0)
    {
        _maxBytes = static_cast<std::uint64_t>(maxBytes);
        _tailSize = _maxBytes < 2 * mebibyte ? std::max<std::uint64_t>(_maxBytes / 2, 1) : mebibyte;
        _headSize = _maxBytes - _tailSize;
    }
    else
        _headSize = std::numeric_limits<std::uint64_t>::max();
    _log = createFile(_folder + "/" + files::log, access);
    if (_log.valid())
        _index = createFile(_folder + "/" + files::logIndex, access);
    if (!_index.valid())
        fail(errno);
}

void LogFile::fail(int error)
{
    if (_error == 0)
        _error = error;
}

void LogFile::append(LogStream stream, std::string_view bytes)
{
    append(stream, std::span<const std::string_view>(&bytes, 1));
}

void LogFile::append(LogStream stream, std::span<const std::string_view> texts)
{
    for (const std::string_view text : texts)
        _lastByte = text.empty() ? _lastByte : text.back();
    std::uint64_t room = _headSize > _bytes && _tailBytes == 0 ? _headSize - _bytes : 0;
    if (sizeOf(texts) <= room)
        return write(stream, texts, wallClockUs());
    std::vector<std::string_view> head;
    std::vector<std::string_view> rest;
    for (const std::string_view text : texts)
    {
        head.push_back(text.substr(0, std::min<std::uint64_t>(room, text.size())));
        rest.push_back(text.substr(head.back().size()));
        room -= head.back().size();
    }
    write(stream, head, wallClockUs());
    for (const std::string_view text : rest)
        writeToTail(stream, text);
}

void LogFile::write(LogStream stream, std::span<const std::string_view> texts, std::int64_t timeUs)
{
    if (_error != 0 || sizeOf(texts) == 0)
        return;
    if (const int error = FAILPOINT_ERRNO("shim.log.write"))
        return fail(error);
    LogIndexRecord record{.offset = _bytes,
                          .line = _lines,
                          .timeUs = timeUs,
                          .stream = static_cast<std::uint8_t>(stream)};
    std::size_t written = 0;
    if (!writeAll(_log.get(), texts, &written))
        fail(errno);
    _bytes += written;
    std::size_t left = written;
    for (const std::string_view text : texts)
    {
        _lines += lineEnds(text.substr(0, left));
        left -= std::min(left, text.size());
    }
    if (written == 0)
        return;
    record.bytes = static_cast<std::uint32_t>(written);
    if (!writeAll(_index.get(), {reinterpret_cast<const char*>(&record), sizeof record}))
    {
        fail(errno);
        // A reader counts on whole records.
        if (::ftruncate(_index.get(), static_cast<off_t>(_records * sizeof record)) != 0)
            fail(errno);
        return;
    }
    ++_records;
}

void LogFile::write(LogStream stream, std::string_view bytes, std::int64_t timeUs)
{
    write(stream, std::span<const std::string_view>(&bytes, 1), timeUs);
}

void LogFile::writeToTail(LogStream stream, std::string_view bytes)
{
    if (_error != 0 || bytes.empty())
        return;
    if (!_tail.valid())
    {
        _tail = createFile(_folder + "/" + tailName, O_RDWR);
        if (!_tail.valid())
            return fail(errno);
    }
    _tailBytes += bytes.size();
    if (bytes.size() > _tailSize)
        bytes.remove_prefix(bytes.size() - _tailSize);
    while (!bytes.empty())
    {
        const std::uint64_t place = (_tailBytes - bytes.size()) % _tailSize;
        const std::size_t size = std::min<std::uint64_t>(bytes.size(), _tailSize - place);
        const ssize_t n = ::pwrite(_tail.get(), bytes.data(), size, static_cast<off_t>(place));
        if (n < 0 && errno != EINTR)
            return fail(errno);
        bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    }
    const bool joins = !_tailChunks.empty() &&
                       (_tailChunks.back().stream == stream || _tailChunks.size() >= maxTailChunks);
    if (joins)
        _tailChunks.back().end = _tailBytes;
    else
        _tailChunks.push_back({.end = _tailBytes, .timeUs = wallClockUs(), .stream = stream});
    while (_tailChunks.front().end + _tailSize <= _tailBytes)
        _tailChunks.pop_front();
}

void LogFile::appendTail()
{
    const std::uint64_t leftOut = cut() ? _tailBytes - _tailSize : 0;
    if (cut())
        write(LogStream::Shim,
              "\n[stage-agent: " + std::to_string(leftOut) + " bytes left out here, the limit is " +
                  std::to_string(_maxBytes) + " bytes]\n",
              wallClockUs());
    std::uint64_t from = leftOut;
    for (const TailChunk& chunk : _tailChunks)
    {
        copyTail(chunk, from);
        from = chunk.end;
    }
    if (_error == 0)
        ::unlink((_folder + "/" + tailName).c_str());
}

void LogFile::copyTail(const TailChunk& chunk, std::uint64_t from)
{
    std::string piece(std::min<std::uint64_t>(chunk.end - from, mebibyte / 16), '\0');
    while (from < chunk.end && _error == 0)
    {
        const std::uint64_t place = from % _tailSize;
        const std::uint64_t size =
            std::min<std::uint64_t>({piece.size(), chunk.end - from, _tailSize - place});
        const ssize_t n = ::pread(_tail.get(), piece.data(), size, static_cast<off_t>(place));
        if (n == 0 || (n < 0 && errno != EINTR))
            return fail(n == 0 ? EIO : errno);
        const std::size_t got = static_cast<std::size_t>(std::max<ssize_t>(n, 0));
        write(chunk.stream, std::string_view(piece).substr(0, got), chunk.timeUs);
        from += got;
    }
}

void LogFile::finish()
{
    if (_tail.valid())
        appendTail();
}

void LogFile::sync()
{
    FAILPOINT("shim.log.sync");
    if (_log.valid() && ::fdatasync(_log.get()) != 0)
        fail(errno);
    if (_index.valid() && ::fdatasync(_index.get()) != 0)
        fail(errno);
    FAILPOINT("shim.log.synced");
}

} // namespace agent
