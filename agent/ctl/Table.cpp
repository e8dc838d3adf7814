#include "agent/ctl/Table.h"

#include "agent/ctl/Text.h"

#include <algorithm>
#include <utility>

namespace agent::ctl
{

namespace
{

constexpr std::size_t gap = 2;
constexpr std::size_t narrowest = 8; // less than this tells nobody anything; an id has as much

bool showsStatus(const std::string& heading)
{
    return heading == "STATUS" || heading == "FROM" || heading == "TO";
}

/// Half a status is none, and hosts often differ in their last letters: in the port of a tunnel.
bool staysWhole(const std::string& heading)
{
    return showsStatus(heading) || heading == "HOST";
}

} // namespace

Table::Table(std::vector<std::string> headings) : _headings(std::move(headings)) {}

void Table::add(const std::vector<std::string>& cells)
{
    std::vector<std::string> row;
    for (std::size_t i = 0; i < _headings.size(); ++i)
        row.push_back(i < cells.size() ? visible(cells[i]) : "");
    _rows.push_back(std::move(row));
}

std::string Table::line(const std::vector<std::string>& cells,
                        const std::vector<std::size_t>& widths, const Terminal& terminal,
                        bool heading) const
{
    std::string out;
    std::size_t column = 0; // where the text stands
    std::size_t wanted = 0; // where the next cell begins
    for (std::size_t i = 0; i < cells.size(); ++i)
    {
        std::string cell = cells[i];
        if (terminal.width > 0 && wanted >= terminal.width && !cell.empty())
        {
            if (column < terminal.width)
                out.append(terminal.width - 1 - column, ' ').append("…");
            break;
        }
        if (terminal.width > 0)
            cell =
                clip(cell, std::min(widths[i], terminal.width - std::min(terminal.width, wanted)));
        if (!cell.empty())
        {
            out.append(wanted - column, ' ');
            column = wanted + displayWidth(cell);
            out +=
                showsStatus(_headings[i]) && !heading ? coloured(terminal, cells[i], cell) : cell;
        }
        wanted += widths[i] + gap;
    }
    return out + '\n';
}

/// Lowers the widest columns, all of them to the same width, until the row has room.
void Table::fit(std::vector<std::size_t>& widths, std::size_t room) const
{
    std::size_t level = *std::max_element(widths.begin(), widths.end());
    const auto cut = [&](std::size_t i)
    { return staysWhole(_headings[i]) ? widths[i] : std::min(widths[i], level); };
    const auto needed = [&]
    {
        std::size_t sum = gap * (widths.size() - 1);
        for (std::size_t i = 0; i < widths.size(); ++i)
            sum += cut(i);
        return sum;
    };
    while (level > narrowest && needed() > room)
        --level;
    for (std::size_t i = 0; i < widths.size(); ++i)
        widths[i] = cut(i);
}

std::string Table::render(const Terminal& terminal) const
{
    std::vector<std::size_t> widths;
    for (const std::string& heading : _headings)
        widths.push_back(displayWidth(heading));
    for (const auto& row : _rows)
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], displayWidth(row[i]));

    if (terminal.width > 0)
        fit(widths, terminal.width);

    std::string out = line(_headings, widths, terminal, true);
    for (const auto& row : _rows)
        out += line(row, widths, terminal, false);
    return out;
}

} // namespace agent::ctl
