#pragma once

#include <string>
#include <string_view>

namespace agent::ctl
{

/// Makes a log safe for a terminal, chunk by chunk: colours pass, every other escape sequence and
/// control character becomes visible (`\x1b]52;…`). Line ends and tabs stay, `\r\n` becomes `\n`.
/// Text that hides itself (SGR 8, conceal) does not pass as a colour.
class LogFilter
{
public:
    enum class Colours
    {
        Keep,
        Drop
    };
    explicit LogFilter(Colours colours) : _colours(colours) {}

    /// Filters the next bytes. Holds back what can't be judged yet: a sequence or character cut by the
    /// end of the chunk.
    std::string filter(std::string_view chunk);

    /// What was held back, and the end of a colour that is still on.
    std::string finish();

private:
    std::string run(std::string_view text, bool last);
    /// Bytes of the colour sequence at `pos`; 0 when it is none, npos when the text ends before it is
    /// known.
    static std::size_t colourAt(std::string_view text, std::size_t pos);

    Colours _colours;
    std::string _held;
    bool _coloured = false;
};

} // namespace agent::ctl
