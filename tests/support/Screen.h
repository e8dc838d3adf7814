#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace agent::test
{

/// What a terminal shows of what a program writes to it: text with line ends, cursor up, erasing, colours,
/// the cursor shown or hidden. Every other sequence is kept in unknown(), for it would do who knows what.
/// A character of UTF-8 takes one cell.
class Screen
{
public:
    Screen(std::size_t rows, std::size_t columns) : _rows(rows), _columns(columns), _lines(rows) {}

    void write(std::string_view bytes)
    {
        _pending += bytes;
        std::size_t pos = 0;
        while (pos < _pending.size())
        {
            const std::size_t size = take(std::string_view(_pending).substr(pos));
            if (size == 0)
                break;
            pos += size;
        }
        _pending.erase(0, pos);
    }

    /// As a terminal that cuts what is too wide, and keeps the lower lines when it loses some.
    void resize(std::size_t rows, std::size_t columns)
    {
        while (_row >= rows)
        {
            _lines.erase(_lines.begin());
            --_row;
        }
        _lines.resize(rows);
        for (auto& line : _lines)
            line.resize(std::min(line.size(), columns));
        _rows = rows;
        _columns = columns;
    }

    /// The lines down to the last one with text.
    [[nodiscard]] std::vector<std::string> lines() const
    {
        std::vector<std::string> shown;
        for (const auto& cells : _lines)
        {
            std::string line;
            for (const auto& cell : cells)
                line += cell.empty() ? " " : cell;
            line.erase(line.find_last_not_of(' ') + 1);
            shown.push_back(line);
        }
        while (!shown.empty() && shown.back().empty())
            shown.pop_back();
        return shown;
    }

    [[nodiscard]] std::string text() const
    {
        std::string all;
        for (const auto& line : lines())
            all += line + "\n";
        return all;
    }

    [[nodiscard]] bool cursorShown() const { return _cursorShown; }
    [[nodiscard]] bool coloured() const { return _coloured; }
    [[nodiscard]] std::size_t row() const { return _row; }
    [[nodiscard]] std::size_t wrapped() const
    {
        return _wrapped;
    } ///< how often a line was too long
    [[nodiscard]] const std::string& unknown() const { return _unknown; }

private:
    using Line = std::vector<std::string>; ///< a character a cell

    /// Returns the bytes it took; 0 when the rest is needed to know.
    std::size_t take(std::string_view text)
    {
        const char c = text[0];
        if (c == '\x1b')
            return sequence(text);
        if (c == '\r')
            _column = 0;
        else if (c == '\n')
            lineFeed();
        else
            return character(text);
        return 1;
    }

    std::size_t sequence(std::string_view text)
    {
        if (text.size() < 2)
            return 0;
        std::size_t end = 2;
        while (text[1] == '[' && end < text.size() && (text[end] < '@' || text[end] > '~'))
            ++end;
        if (end >= text.size())
            return 0;
        const std::string_view parameters = text.substr(2, end - 2);
        const char kind = text[1] == '[' ? text[end] : '\0';
        if (kind == 'm')
            _coloured = !parameters.empty() && parameters != "0";
        else if (kind == 'A')
            _row -= std::min<std::size_t>(_row, std::strtoul(parameters.data(), nullptr, 10));
        else if (kind == 'K' && parameters.empty())
            _lines[_row].resize(std::min(_lines[_row].size(), _column));
        else if (kind == 'J' && parameters.empty())
        {
            _lines[_row].resize(std::min(_lines[_row].size(), _column));
            for (std::size_t row = _row + 1; row < _rows; ++row)
                _lines[row].clear();
        }
        else if ((kind == 'h' || kind == 'l') && parameters == "?25")
            _cursorShown = kind == 'h';
        else if ((kind != 'h' && kind != 'l') || parameters != "?2026") // drawn at once
            _unknown += text.substr(1, end);
        return end + 1;
    }

    std::size_t character(std::string_view text)
    {
        const auto lead = static_cast<unsigned char>(text[0]);
        const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        if (text.size() < size)
            return 0;
        if (_column >= _columns)
        {
            ++_wrapped;
            _column = 0;
            lineFeed();
        }
        Line& line = _lines[_row];
        line.resize(std::max(line.size(), _column + 1));
        line[_column++] = text.substr(0, size);
        return size;
    }

    void lineFeed()
    {
        if (++_row < _rows)
            return;
        --_row;
        _lines.erase(_lines.begin());
        _lines.emplace_back();
    }

    std::size_t _rows;
    std::size_t _columns;
    std::vector<Line> _lines;
    std::size_t _row = 0;
    std::size_t _column = 0;
    std::size_t _wrapped = 0;
    bool _cursorShown = true;
    bool _coloured = false;
    std::string _pending;
    std::string _unknown;
};

} // namespace agent::test
