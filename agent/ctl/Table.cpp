#include "agent/ctl/Table.h"

#include "agent/ctl/StatusWords.h"
#include "agent/ctl/Text.h"

#include <algorithm>
#include <utility>

namespace agent::ctl
{

namespace
{

constexpr std::size_t gap = 2;
constexpr std::size_t minWidth = 8; // a narrower column is useless; a short id has 8

bool showsStatus(const std::string& heading)
{
    return heading == "STATUS" || heading == "FROM" || heading == "TO";
}

/// Returns whether the column is never cut: hosts often differ only in their last characters, such as the
/// port of a tunnel.
bool isNeverCut(const std::string& heading)
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
    std::size_t column = 0; // of the end of `out`
    std::size_t wanted = 0; // of the next cell
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

/// Cuts the widest columns to a common width until the row fits.
void Table::fit(std::vector<std::size_t>& widths, std::size_t room) const
{
    std::size_t level = *std::max_element(widths.begin(), widths.end());
    const auto cut = [&](std::size_t i)
    { return isNeverCut(_headings[i]) ? widths[i] : std::min(widths[i], level); };
    const auto needed = [&]
    {
        std::size_t sum = gap * (widths.size() - 1);
        for (std::size_t i = 0; i < widths.size(); ++i)
            sum += cut(i);
        return sum;
    };
    while (level > minWidth && needed() > room)
        --level;
    for (std::size_t i = 0; i < widths.size(); ++i)
        widths[i] = cut(i);
}

/// Returns the cells of the first column that holds no hosts, a line each.
std::string Table::names() const
{
    const std::size_t at = _headings.size() > 1 && _headings.front() == "HOST" ? 1 : 0;
    std::string out;
    for (const auto& row : _rows)
        out += row[at] + '\n';
    return out;
}

std::string Table::render(const Terminal& terminal) const
{
    if (terminal.names)
        return names();
    std::vector<std::vector<std::string>> rows = _rows;
    if (terminal.interactive)
        for (auto& row : rows)
            for (std::size_t i = 0; i < row.size(); ++i)
                if (showsStatus(_headings[i]))
                    row[i] = statusWords(row[i]);
    std::vector<std::size_t> widths;
    for (const std::string& heading : _headings)
        widths.push_back(displayWidth(heading));
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], displayWidth(row[i]));

    if (terminal.width > 0)
        fit(widths, terminal.width);

    std::string out = line(_headings, widths, terminal, true);
    for (const auto& row : rows)
        out += line(row, widths, terminal, false);
    return out;
}

} // namespace agent::ctl
