#include "agent/ctl/Table.h"

#include "agent/ctl/Text.h"

#include <algorithm>
#include <utility>

namespace agent::ctl
{

namespace
{

constexpr std::size_t gap = 2;
constexpr std::size_t narrowestLast = 8; // less than this tells nobody anything

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
        const bool last = i + 1 == cells.size();
        std::string cell = cells[i];
        if (last && terminal.width > 0)
        {
            const std::size_t left = terminal.width > wanted ? terminal.width - wanted : 0;
            cell = clip(cell, std::max(left, narrowestLast));
        }
        if (!cell.empty())
        {
            out.append(wanted - column, ' ');
            column = wanted + displayWidth(cell);
            const bool status =
                _headings[i] == "STATUS" || _headings[i] == "FROM" || _headings[i] == "TO";
            out += status && !heading ? coloured(terminal, cell, cell) : cell;
        }
        wanted += widths[i] + gap;
    }
    return out + '\n';
}

std::string Table::render(const Terminal& terminal) const
{
    std::vector<std::size_t> widths;
    for (const std::string& heading : _headings)
        widths.push_back(displayWidth(heading));
    for (const auto& row : _rows)
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], displayWidth(row[i]));

    std::string out = line(_headings, widths, terminal, true);
    for (const auto& row : _rows)
        out += line(row, widths, terminal, false);
    return out;
}

} // namespace agent::ctl
