#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace agent::ctl
{

/// What standard output is, and so what may be done there.
struct Terminal
{
    bool interactive = false; ///< a terminal: short ids, redrawing, truncation
    bool colours = false;     ///< interactive, and NO_COLOR is not set
    std::size_t width = 0;    ///< columns; 0: no limit
    std::size_t height = 0;   ///< rows; 0: unknown

    static Terminal ofOutput();
};

/// The status in its colour where the terminal has colours; other texts as they are.
std::string coloured(const Terminal& terminal, std::string_view status, std::string_view text);

/// Writes to standard output and flushes. Errors: when the reader is gone, ends the program with
/// the exit status of SIGPIPE; else Failure Usage (a full disk).
void writeOut(std::string_view text);

/// From now on SIGINT and SIGTERM end the program at once with 130. `output` is what standard output
/// needs then, for a terminal must not stay as we made it; `said` goes to standard error.
void endOnInterrupt(const std::string& output, const std::string& said);

/// Waits for the terminal to be resized, also since the last call. Shape: false when `end` came first.
bool resizedUntil(std::chrono::steady_clock::time_point end);

/// One line on standard error: `stagectl: text`, made visible.
void note(std::string_view text);

/// As note, of a text of several lines: the others stand below the first, indented.
void tell(const std::string& message);

} // namespace agent::ctl
