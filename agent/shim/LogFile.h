#pragma once

#include "agent/os/FileDescriptor.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>

namespace agent
{

/// Where a piece of the log came from, as log.idx has it.
enum class LogStream : std::uint8_t
{
    Output = 1,
    Errors = 2,
    Shim = 3
};

[[nodiscard]] std::size_t sizeOf(std::span<const std::string_view> texts);

/// `log` and `log.idx` of an attempt, both append-only; one record a chunk.
/// Past the size limit the newest bytes go round in `log.tail` and are appended at the end, behind a
/// line that says how much is missing: beginning and end of a log are what people read.
class LogFile
{
public:
    /// `maxBytes` 0: no limit. Errors: see error().
    LogFile(std::string folder, std::int64_t maxBytes);

    /// Appends one text after the other, as one chunk.
    void append(LogStream stream, std::span<const std::string_view> texts);
    void append(LogStream stream, std::string_view bytes);

    /// Appends the tail, if any.
    void finish();

    /// Brings all of it to disk. Threads: blocks as long as the disk takes.
    void sync();

    /// The error number of the first failure, 0 while there is none. After it nothing is written.
    /// Threads: any.
    [[nodiscard]] int error() const { return _error; }

    /// Whether bytes were left out.
    [[nodiscard]] bool cut() const { return _tailBytes > _tailSize; }

    /// Whether the last byte that was appended ends a line, or none was.
    [[nodiscard]] bool atLineStart() const { return _lastByte == '\n'; }

    /// Size of `log`.
    [[nodiscard]] std::int64_t bytes() const { return static_cast<std::int64_t>(_bytes); }

private:
    struct TailChunk
    {
        std::uint64_t end = 0; ///< counted from the first byte that went to the tail
        std::int64_t timeUs = 0;
        LogStream stream = LogStream::Output;
    };

    void write(LogStream stream, std::span<const std::string_view> texts, std::int64_t timeUs);
    void write(LogStream stream, std::string_view bytes, std::int64_t timeUs);
    void writeToTail(LogStream stream, std::string_view bytes);
    void appendTail();
    void copyTail(const TailChunk& chunk, std::uint64_t from);
    void fail(int error);

    std::string _folder;
    std::uint64_t _maxBytes = 0;
    std::uint64_t _headSize = 0; ///< what `log` holds at most before the end
    std::uint64_t _tailSize = 0;
    FileDescriptor _log;
    FileDescriptor _index;
    FileDescriptor _tail; ///< opened when it is needed
    std::uint64_t _bytes = 0;
    std::uint64_t _lines = 0;
    std::uint64_t _records = 0;
    char _lastByte = '\n';
    std::uint64_t _tailBytes = 0; ///< all that ever went there
    std::deque<TailChunk> _tailChunks;
    std::atomic<int> _error = 0;
};

} // namespace agent
