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

std::uint64_t lineEnds(std::string_view bytes)
{
    std::uint64_t count = 0;
    const char* const end = bytes.data() + bytes.size();
    for (const char* at = bytes.data(); at != end; ++at)
    {
        at = static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
        if (at == nullptr)
            break;
        ++count;
    }
    return count;
}

} // namespace

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
    const std::uint64_t room = _headSize > _bytes && _tailBytes == 0 ? _headSize - _bytes : 0;
    const std::string_view head = bytes.substr(0, std::min<std::uint64_t>(room, bytes.size()));
    write(stream, head, wallClockUs());
    if (head.size() < bytes.size())
        writeToTail(stream, bytes.substr(head.size()));
}

void LogFile::write(LogStream stream, std::string_view bytes, std::int64_t timeUs)
{
    if (_error != 0 || bytes.empty())
        return;
    if (const int error = FAILPOINT_ERRNO("shim.log.write"))
        return fail(error);
    LogIndexRecord record{.offset = _bytes,
                          .line = _lines,
                          .timeUs = timeUs,
                          .stream = static_cast<std::uint8_t>(stream)};
    std::size_t written = 0;
    if (!writeAll(_log.get(), bytes, &written))
        fail(errno);
    _bytes += written;
    _lines += lineEnds(bytes.substr(0, written));
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

void LogFile::writeToTail(LogStream stream, std::string_view bytes)
{
    if (_error != 0)
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
