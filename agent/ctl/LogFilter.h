#pragma once

#include <string>
#include <string_view>

namespace agent::ctl
{

/// Makes a log safe for a terminal, chunk by chunk: colours pass, all other escape sequences and control
/// characters are escaped (`\x1b]52;…`). Line breaks and tabs stay, `\r\n` becomes `\n`. SGR 8 (conceal)
/// is not a colour.
class LogFilter
{
public:
    enum class Colours
    {
        Keep,
        Drop
    };
    /// What becomes of a carriage return that ends no line: programs draw over a line with it.
    enum class Returns
    {
        Escape,
        Keep
    };
    explicit LogFilter(Colours colours, Returns returns = Returns::Escape)
        : _colours(colours), _returns(returns)
    {
    }

    /// Returns the next bytes, filtered. Holds back a sequence or character that the chunk's end cuts.
    std::string filter(std::string_view chunk);

    /// Returns what was held back, and a reset if a colour is still on.
    std::string finish();

private:
    std::string run(std::string_view text, bool last);
    /// Returns the size of the colour sequence at `pos`; 0 if it is something else, npos if the text ends
    /// too early to tell.
    static std::size_t colourAt(std::string_view text, std::size_t pos);

    Colours _colours;
    Returns _returns;
    std::string _held;
    bool _coloured = false;
};

/// Returns what of a line is seen last: what stands behind its last carriage return, as the dashboard has it. Those at
/// its end do not count.
std::string_view seenLast(std::string_view line);

/// Passes on lines as seenLast(), each when it has ended.
class LineFold
{
public:
    std::string add(std::string_view bytes);

    /// Returns the line that has not ended.
    std::string finish();

private:
    std::string _line;
};

} // namespace agent::ctl
