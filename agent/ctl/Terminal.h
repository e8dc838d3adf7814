#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace agent::ctl
{

/// The properties of standard output.
struct Terminal
{
    bool interactive = false; ///< a terminal: short ids, redrawing, truncation
    bool colours = false;     ///< interactive and NO_COLOR is not set
    std::size_t width = 0;    ///< columns; 0: no limit
    std::size_t height = 0;   ///< rows; 0: unknown
    bool wide = false;        ///< tables have all their columns, uncut (`-o wide`)
    bool names = false;       ///< of a table only the ids or names, a line each (`-o name`)

    static Terminal ofOutput();
};

/// Returns `text` in the colour of `status`, in the API's spelling or in words, if the terminal has colours; else unchanged.
std::string coloured(const Terminal& terminal, std::string_view status, std::string_view text);

/// Writes to standard output and flushes. Errors: on EPIPE, exits with the status of SIGPIPE; else
/// Failure Usage (disk full).
void writeOut(std::string_view text);

/// Makes SIGINT and SIGTERM exit at once with 130, after writing `output` (which resets the terminal) to
/// standard output and `message` to standard error.
void exitOnInterrupt(const std::string& output, const std::string& message);

/// Waits until `end` for the terminal to be resized; returns whether it was, including since the last call.
bool resizedUntil(std::chrono::steady_clock::time_point end);

/// Prints one line `stagectl: text` to standard error, with control characters escaped.
void note(std::string_view text);

/// As note, for several lines: those below the first are indented.
void printError(const std::string& message);

} // namespace agent::ctl
