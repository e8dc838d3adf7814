#include "agent/store/LogIndex.h"

#include <algorithm>
#include <bit>

namespace agent
{

static_assert(std::endian::native == std::endian::little, "the records are read as they lie");

LogIndex::LogIndex(std::optional<RegularFile> file, std::int64_t madeUpTimeUs)
    : _file(std::move(file)), _madeUp{.timeUs = madeUpTimeUs}
{
}

void LogIndex::refresh(std::uint64_t logSize)
{
    _isMadeUp = false;
    _blockEnd = _blockBegin = 0;
    _size = _file ? _file->size() / sizeof(LogIndexRecord) : 0;
    _size = firstNot([logSize](const LogIndexRecord& record) { return record.offset < logSize; });
    // After a power cut the end of the file may be all zeros, so that the search found an arbitrary record: none
    // may refer to bytes beyond the log.
    while (_size > 1 && (at(_size - 1).offset == 0 || at(_size - 1).offset >= logSize))
        --_size;
    if (_size == 0 || at(0).offset != 0 || at(0).line != 0)
    {
        _isMadeUp = true;
        _size = 1;
    }
}

std::uint64_t LogIndex::covered(std::uint64_t logSize)
{
    if (_isMadeUp)
        return 0;
    const LogIndexRecord& last = at(_size - 1);
    return last.bytes == 0 ? logSize : std::min(logSize, last.offset + last.bytes);
}

const LogIndexRecord& LogIndex::at(std::uint64_t number)
{
    if (_isMadeUp)
        return _madeUp;
    if (number < _blockBegin || number >= _blockEnd)
    {
        _blockBegin = number / blockRecords * blockRecords;
        _blockEnd = _blockBegin; // empty if the read throws
        const std::size_t got = _file->read(_blockBegin * sizeof(LogIndexRecord),
                                            reinterpret_cast<char*>(_block.data()), sizeof _block);
        _blockEnd = _blockBegin + got / sizeof(LogIndexRecord);
        // The shim truncates a partially written record.
        if (number >= _blockEnd)
            return _madeUp;
    }
    return _block[number - _blockBegin];
}

const LogIndexRecord& LogIndex::chunkOf(std::uint64_t offset)
{
    if (_chunk >= _size || at(_chunk).offset > offset)
        _chunk = 0;
    for (std::size_t steps = 0; _chunk + 1 < _size && at(_chunk + 1).offset <= offset; ++_chunk)
        if (++steps > blockRecords)
        {
            _chunk = firstNot([offset](const LogIndexRecord& record)
                              { return record.offset <= offset; }) -
                     1;
            break;
        }
    return at(_chunk);
}

} // namespace agent
