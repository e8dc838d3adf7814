#pragma once

#include "agent/os/RegularFile.h"
#include "agent/wire/Order.h"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace agent
{

/// The records of a `log.idx` whose bytes are in the log. There is always at least one: without an index it is
/// synthesized, and the log is one chunk.
/// Threads: one at a time (records are cached).
class LogIndex
{
public:
    /// `madeUpTimeUs`: the time of all lines without an index.
    LogIndex(std::optional<RegularFile> file, std::int64_t madeUpTimeUs);

    /// Updates the number of records, for a log of `logSize` bytes. Ignores a torn last record and records beyond
    /// the log's end, which a crash can leave.
    void refresh(std::uint64_t logSize);

    [[nodiscard]] std::uint64_t size() const { return _size; }

    /// Returns whether there is a file with records.
    [[nodiscard]] bool exists() const { return !_isMadeUp; }

    /// Returns the end of the last chunk with a record; the record of bytes behind it is about to be written.
    /// Errors: std::system_error.
    std::uint64_t covered(std::uint64_t logSize);

    /// Errors: std::system_error.
    const LogIndexRecord& at(std::uint64_t number);

    /// Returns the first record for which `before` is false, or size(). Records must be partitioned by `before`.
    template <std::predicate<const LogIndexRecord&> Before> std::uint64_t firstNot(Before before)
    {
        std::uint64_t begin = 0;
        std::uint64_t end = _size;
        while (begin < end)
        {
            const std::uint64_t middle = begin + (end - begin) / 2;
            before(at(middle)) ? begin = middle + 1 : end = middle;
        }
        return begin;
    }

    /// Returns the chunk that contains `offset`; fast for increasing offsets.
    /// Owner: the index, until its next call. Errors: std::system_error.
    const LogIndexRecord& chunkOf(std::uint64_t offset);

private:
    static constexpr std::size_t blockRecords = 128; ///< 4 KiB

    std::optional<RegularFile> _file;
    LogIndexRecord _madeUp;
    bool _isMadeUp = true;
    std::uint64_t _size = 1;
    std::array<LogIndexRecord, blockRecords> _block = {};
    std::uint64_t _blockBegin = 0;
    std::uint64_t _blockEnd = 0;
    std::uint64_t _chunk = 0; ///< returned last
};

} // namespace agent
