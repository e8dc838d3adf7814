#pragma once

#include "agent/store/LogReader.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace agent
{

/// Walks over the lines of a log and keeps its byte offset, so that each byte is read once however many
/// lines there are.
/// Threads: one at a time. Errors: as LogReader.
class LineCursor
{
public:
    /// Before the line that follows line number `after`; 0 is before the first. The log is borrowed and
    /// must not be refreshed meanwhile.
    LineCursor(LogReader& log, std::uint64_t after);

    /// Fills in number, text and whole of the next line. Returns false at the end of the log.
    bool next(LogLine& line);

    /// Fills in time and stream of the line that next() gave last.
    void stamp(LogLine& line);

    /// Frees the bytes that were read ahead, up to 128 KiB.
    void rest();

private:
    void cut(LogLine& line, std::string_view window, std::uint64_t& next);

    LogReader& _log;
    std::uint64_t _number;
    std::uint64_t _begin = 0; ///< of the line given last
    std::uint64_t _place = 0; ///< of the next one
    std::string _window;
    std::uint64_t _windowBegin = 0;
};

} // namespace agent
