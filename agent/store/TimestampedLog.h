#pragma once

#include "agent/store/LogReader.h"

#include <cstdint>
#include <string>

namespace agent
{

/// A range of a log as text, with `2023-03-20T17:17:13.760Z ` before each line that begins in the range, so that
/// consecutive ranges, even within a line, concatenate to the text of the whole range.
/// Threads: one at a time. Errors: as LogReader.
class TimestampedLog
{
public:
    /// `begin` and `end` are offsets in the log; `end` is limited to its size. The reader must outlive this object.
    TimestampedLog(LogReader& reader, std::uint64_t begin, std::uint64_t end);

    /// Appends the text of the next bytes of the log, at most 8 KiB of them, which is at most 208 KiB of text
    /// where each byte is a line. Returns false at the end.
    bool next(std::string& out);

    /// Returns the offset of the next byte.
    [[nodiscard]] std::uint64_t position() const { return _position; }

private:
    void appendStamp(std::string& out);

    LogReader& _reader;
    std::uint64_t _position;
    std::uint64_t _end;
    bool _atLineStart = true;
    std::string _block;
    TimeMs _stampTime = 0;
    std::string _stamp; ///< of _stampTime; cached, since neighbouring lines mostly share it
};

} // namespace agent
