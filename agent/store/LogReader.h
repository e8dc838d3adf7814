#pragma once

#include "agent/model/Timestamp.h"
#include "agent/os/RegularFile.h"
#include "agent/store/CompressedLog.h"
#include "agent/store/LogIndex.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace agent
{

struct LogLine
{
    std::uint64_t number = 0; ///< from 1
    TimeMs timeMs = 0;        ///< of the chunk in which the line begins
    std::uint8_t stream = 1;  ///< as in LogIndexRecord
    std::string text;         ///< without its \n; may be invalid UTF-8
    bool whole = true;        ///< false: unterminated; only the last line
};

/// Reads the log of an attempt, while it is written and after it was compressed (docs/log-format.md), as it was
/// at open() or the last refresh(). Without a usable `log.idx` lines are found by reading from the beginning,
/// and all have the same time.
///
/// Threads: one at a time.
/// Errors: std::system_error if a file can't be read, std::runtime_error if log.zst is damaged.
class LogReader
{
public:
    /// Longer lines are cut, with a mark that has the number of missing bytes.
    static constexpr std::size_t maxLineBytes = 65536;

    /// Which bytes are read while the shim writes: it writes bytes before their record of time and stream.
    enum class Extent
    {
        All,
        Indexed ///< only bytes with a record, so that lines keep their time and stream
    };

    /// Returns nothing when the attempt has no log, or its stage put something else in its place.
    static std::optional<LogReader> open(const std::filesystem::path& folder,
                                         Extent extent = Extent::All);

    /// Includes what has been written since.
    void refresh(Extent extent = Extent::All);

    /// Returns whether there was a `log.idx` at open(); reopen the log to see a later one.
    [[nodiscard]] bool hasIndex() const { return _index.exists(); }

    [[nodiscard]] std::uint64_t size() const { return _size; }

    /// Returns a descriptor for sendfile: its bytes 0 to size() are the log. -1 if it is compressed: use read().
    /// Owner: the reader.
    [[nodiscard]] int descriptor() const;

    /// Fills `buffer` from `offset` on; returns the number of bytes, less than `size` only at the end.
    std::size_t read(std::uint64_t offset, char* buffer, std::size_t size);

    /// Returns the number of lines, including an unterminated last one.
    std::uint64_t lineCount();

    /// Returns the offset of line `number` (from 1); nullopt if there is no such line.
    std::optional<std::uint64_t> lineStart(std::uint64_t number);

    /// Returns at most `limit` lines after line number `after` (0: from the first); fewer if they exceed 8 MiB,
    /// but at least one: continue after the last one.
    std::vector<LogLine> lines(std::uint64_t after, std::size_t limit);

    /// Returns the offset of the last `count` lines.
    std::uint64_t tail(std::uint64_t count);

    /// Returns the offset of the first chunk written at `time` or later; size() if there is none. A chunk may
    /// begin within a line. If the wall clock was set back: some chunk at or after `time` that follows one before
    /// it.
    std::uint64_t since(TimeMs time);

    /// Returns the chunk that contains `offset`. Owner: the reader, until its next call.
    const LogIndexRecord& chunkOf(std::uint64_t offset) { return _index.chunkOf(offset); }

private:
    using Log = std::variant<RegularFile, CompressedLog>;

    LogReader(Log log, LogIndex index, Extent extent);

    std::optional<std::uint64_t> afterLineEnds(std::uint64_t offset, std::uint64_t count);

    Log _log;
    LogIndex _index;
    std::uint64_t _size = 0;
    std::optional<std::uint64_t> _lineCount;
};

} // namespace agent
