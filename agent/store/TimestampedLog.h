#pragma once

#include "agent/store/LogReader.h"

#include <cstdint>
#include <string>

namespace agent
{

/// A range of a log as text, with `2023-03-20T17:17:13.760Z ` before each line that begins in the range.
/// So a second range that goes on where the first one ended, in the middle of a line or not, gives
/// the same text as one range over both.
/// Threads: one at a time. Errors: as LogReader.
class TimestampedLog
{
public:
    /// `begin` and `end` in bytes of the log; `end` is cut to its size. The reader must outlive this
    /// object.
    TimestampedLog(LogReader& reader, std::uint64_t begin, std::uint64_t end);

    /// Appends the text of the next bytes of the log, at most 64 KiB. Shape: false at the end.
    bool next(std::string& out);

    /// The first byte of the log that was not yet given.
    [[nodiscard]] std::uint64_t position() const { return _position; }

private:
    void appendStamp(std::string& out);

    LogReader& _reader;
    std::uint64_t _position;
    std::uint64_t _end;
    bool _atLineStart = true;
    std::string _block;
    TimeMs _stampTime = 0;
    std::string _stamp; ///< of _stampTime: neighbouring lines mostly share it
};

} // namespace agent
