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
    TimeMs timeMs = 0;        ///< when the chunk was written in which the line begins
    std::uint8_t stream = 1;  ///< as in LogIndexRecord
    std::string text;         ///< without its \n; the bytes as they are, UTF-8 or not
    bool whole = true;        ///< false: its \n is not there yet; only the last line
};

/// Reads the log of an attempt, while it is written and after it was compressed (docs/log-format.md).
/// It sees the log as it was at open() or at the last refresh(). Without a usable `log.idx` all is
/// there as well, but found by reading from the beginning, and all lines have one time.
///
/// Threads: one at a time.
/// Errors: std::system_error when a file can't be read, std::runtime_error when log.zst is damaged.
class LogReader
{
public:
    /// A longer line is given cut, with a mark that tells how much is missing.
    static constexpr std::size_t maxLineBytes = 65536;

    /// Which bytes count while the shim writes: it writes the bytes first, then the record that says when
    /// they came and from where.
    enum class Extent
    {
        All,
        Indexed ///< only bytes that have their record: lines keep their time and stream
    };

    /// Shape: nothing when the attempt has no log.
    static std::optional<LogReader> open(const std::filesystem::path& folder,
                                         Extent extent = Extent::All);

    /// Looks at what has been written since.
    void refresh(Extent extent = Extent::All);

    /// Whether there is a `log.idx`; one that came later is not seen, open the log anew then.
    [[nodiscard]] bool hasIndex() const { return _index.exists(); }

    [[nodiscard]] std::uint64_t size() const { return _size; }

    /// For sendfile and the like: bytes 0 to size() of it are the log. -1 when it is compressed: use
    /// read() then. Owner: the reader.
    [[nodiscard]] int descriptor() const;

    /// Fills `buffer` from `offset` on. Shape: fewer than `size` only at the end.
    std::size_t read(std::uint64_t offset, char* buffer, std::size_t size);

    /// Number of lines, the last one also without its \n.
    std::uint64_t lineCount();

    /// Where line `number` (from 1) begins. Shape: nothing when there is no such line.
    std::optional<std::uint64_t> lineStart(std::uint64_t number);

    /// At most `limit` lines after line number `after`; 0 is before the first. Fewer when they come to
    /// more than 8 MiB, but at least one: ask on with the last one's number.
    std::vector<LogLine> lines(std::uint64_t after, std::size_t limit);

    /// Where the last `count` lines begin.
    std::uint64_t tail(std::uint64_t count);

    /// Where the first chunk begins that was written at `time` or later; size() when there is none. A
    /// chunk may begin within a line. Where the wall clock was set back, any chunk that is at
    /// or after `time` and follows one before it.
    std::uint64_t since(TimeMs time);

    /// The chunk that has the byte at `offset`. Owner: the reader, until its next call.
    const LogIndexRecord& chunkOf(std::uint64_t offset) { return _index.chunkOf(offset); }

private:
    using Log = std::variant<RegularFile, CompressedLog>;

    LogReader(Log log, LogIndex index, Extent extent);

    std::optional<std::uint64_t> afterLineEnds(std::uint64_t offset, std::uint64_t count);
    LogLine cutLine(std::uint64_t number, std::uint64_t begin, std::string_view window,
                    std::uint64_t& next);

    Log _log;
    LogIndex _index;
    std::uint64_t _size = 0;
    std::optional<std::uint64_t> _lineCount;
};

} // namespace agent
