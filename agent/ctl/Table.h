#pragma once

#include "agent/ctl/Terminal.h"

#include <cstddef>
#include <string>
#include <vector>

namespace agent::ctl
{

/// Rows under headings, aligned by display width, with two blanks between columns and none at the end of
/// a line. No row exceeds the terminal's width, if it has one: the widest columns are cut to a common
/// width of at least 8, except statuses, hosts and short ids; columns that still do not fit are dropped
/// at the right and marked by `…`. STATUS, FROM and TO are in the dashboard's words on a terminal, and coloured if it
/// has colours.
class Table
{
public:
    explicit Table(std::vector<std::string> headings);

    /// Adds a row of one cell per heading; missing cells stay empty, control characters are escaped.
    void add(const std::vector<std::string>& cells);

    [[nodiscard]] std::string render(const Terminal& terminal) const;
    [[nodiscard]] std::size_t rows() const { return _rows.size(); }

private:
    [[nodiscard]] std::string names() const;
    void fit(std::vector<std::size_t>& widths, std::size_t room) const;
    [[nodiscard]] std::string line(const std::vector<std::string>& cells,
                                   const std::vector<std::size_t>& widths, const Terminal& terminal,
                                   bool heading) const;

    std::vector<std::string> _headings;
    std::vector<std::vector<std::string>> _rows;
};

} // namespace agent::ctl
