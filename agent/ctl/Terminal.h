#pragma once

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

/// One line on standard error: `stagectl: text`, made visible.
void note(std::string_view text);

} // namespace agent::ctl
