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
    explicit LogFilter(Colours colours) : _colours(colours) {}

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
    std::string _held;
    bool _coloured = false;
};

} // namespace agent::ctl
