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

/// The records of a `log.idx` that tell of bytes which are in the log. There is always a first one: without
/// an index it is made up, and the log is one chunk.
/// Threads: one at a time (the records read last are kept).
class LogIndex
{
public:
    /// `madeUpTimeUs`: the time of all lines when there is no index.
    LogIndex(std::optional<RegularFile> file, std::int64_t madeUpTimeUs);

    /// Looks how many records there are now, for a log of `logSize` bytes. A torn last record and
    /// records of bytes that the log does not have are left out: a crash can leave either.
    void refresh(std::uint64_t logSize);

    [[nodiscard]] std::uint64_t size() const { return _size; }

    /// Whether there is a file with records.
    [[nodiscard]] bool exists() const { return !_isMadeUp; }

    /// Where the last chunk ends that has a record: bytes behind it were written a moment ago, and their
    /// record is about to come. Errors: std::system_error.
    std::uint64_t covered(std::uint64_t logSize);

    /// Errors: std::system_error.
    const LogIndexRecord& at(std::uint64_t number);

    /// The first record for which `before` does not hold, or size(); `before` must hold for some first
    /// records and then for none.
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

    /// The chunk that has the byte at `offset`; quick for offsets that go up.
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
    std::uint64_t _chunk = 0; ///< found last
};

} // namespace agent
