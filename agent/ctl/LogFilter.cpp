#include "agent/ctl/LogFilter.h"

#include "agent/ctl/Text.h"

#include <charconv>
#include <utility>
#include <vector>

namespace agent::ctl
{

namespace
{

// A true-colour foreground and background with attributes needs about 45.
constexpr std::size_t maxColourBytes = 64;

/// Returns whether these SGR parameters (ECMA-48 8.3.117) only colour or emphasise.
bool onlyColours(std::string_view parameters)
{
    std::vector<int> values;
    while (true)
    {
        const std::size_t end = parameters.find_first_of(";:");
        const std::string_view text = parameters.substr(0, end);
        int value = 0;
        const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (!text.empty() && (error != std::errc{} || rest != text.data() + text.size()))
            return false;
        values.push_back(value);
        if (end == std::string_view::npos)
            break;
        parameters.remove_prefix(end + 1);
    }
    for (std::size_t i = 0; i < values.size(); ++i)
    {
        const int value = values[i];
        if ((value == 38 || value == 48 || value == 58) && i + 1 < values.size())
            i += values[i + 1] == 5 ? 2U : values[i + 1] == 2 ? 4U : 0U;
        else if (value == 8 || value > 107)
            return false;
    }
    return true;
}

} // namespace

std::size_t LogFilter::colourAt(std::string_view text, std::size_t pos)
{
    for (std::size_t i = pos + 1; i < text.size(); ++i)
    {
        const char c = text[i];
        if (i == pos + 1)
        {
            if (c != '[')
                return 0;
            continue;
        }
        if (c == 'm')
            return onlyColours(text.substr(pos + 2, i - pos - 2)) ? i + 1 - pos : 0;
        if ((c < '0' || c > '9') && c != ';' && c != ':')
            return 0;
        if (i - pos > maxColourBytes)
            return 0;
    }
    return std::string_view::npos;
}

std::string LogFilter::run(std::string_view text, bool last)
{
    std::string out;
    out.reserve(text.size());
    std::size_t pos = 0;
    const auto hold = [&]
    {
        _held.assign(text.substr(pos));
        return out;
    };
    while (pos < text.size())
    {
        const char c = text[pos];
        if (c == '\r' && pos + 1 == text.size() && !last)
            return hold();
        if (c == '\r' && pos + 1 < text.size() && text[pos + 1] == '\n')
        {
            ++pos;
            continue;
        }
        if (c == '\n' || c == '\t' || (c == '\r' && _returns == Returns::Keep))
        {
            out += c;
            ++pos;
            continue;
        }
        if (c == '\x1b')
        {
            const std::size_t size = colourAt(text, pos);
            if (size == std::string_view::npos && !last)
                return hold();
            if (size != 0 && size != std::string_view::npos)
            {
                const std::string_view sequence = text.substr(pos, size);
                if (_colours == Colours::Keep)
                {
                    out += sequence;
                    _coloured = sequence != "\x1b[m" && sequence != "\x1b[0m";
                }
                pos += size;
                continue;
            }
        }
        const Character character = characterAt(text, pos);
        if (character.kind == Character::Kind::Incomplete && !last)
            return hold();
        appendVisible(out, text, pos, character);
        pos += character.size;
    }
    return out;
}

std::string LogFilter::filter(std::string_view chunk)
{
    const std::string text = std::exchange(_held, "") + std::string(chunk);
    return run(text, false);
}

std::string LogFilter::finish()
{
    const std::string text = std::exchange(_held, "");
    std::string out = run(text, true);
    if (std::exchange(_coloured, false))
        out += "\x1b[0m";
    return out;
}

std::string_view seenLast(std::string_view line)
{
    while (line.ends_with('\r'))
        line.remove_suffix(1);
    const std::size_t last = line.rfind('\r');
    return last == std::string_view::npos ? line : line.substr(last + 1);
}

std::string LineFold::add(std::string_view bytes)
{
    // A line without an end is passed on in pieces: a log may be one line.
    constexpr std::size_t longest = std::size_t{1} << 20;
    std::string out;
    for (std::size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n'))
    {
        _line.append(bytes.substr(0, end));
        bytes.remove_prefix(end + 1);
        out.append(seenLast(_line)).append("\n");
        _line.clear();
    }
    _line.append(bytes);
    if (_line.size() > longest)
        out += finish();
    return out;
}

std::string LineFold::finish()
{
    const std::string line = std::exchange(_line, "");
    return std::string(seenLast(line));
}

} // namespace agent::ctl
