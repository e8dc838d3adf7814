#pragma once

#include "agent/ctl/Terminal.h"

#include <cstddef>
#include <string>
#include <vector>

namespace agent::ctl
{

/// Rows under headings, aligned by what a terminal shows, not by bytes.
/// Shape: two blanks between columns, none at a line's end. Where the terminal has a width no row is
/// wider: the widest columns are cut to one width, 8 at least, but never statuses, hosts and short
/// ids; what still has no room falls off at the right, which `…` tells. The columns STATUS, FROM and
/// TO show statuses in colour where there are colours.
class Table
{
public:
    explicit Table(std::vector<std::string> headings);

    /// Takes one cell a heading; missing ones stay empty, control characters become visible.
    void add(const std::vector<std::string>& cells);

    [[nodiscard]] std::string render(const Terminal& terminal) const;
    [[nodiscard]] std::size_t rows() const { return _rows.size(); }

private:
    void fit(std::vector<std::size_t>& widths, std::size_t room) const;
    [[nodiscard]] std::string line(const std::vector<std::string>& cells,
                                   const std::vector<std::size_t>& widths, const Terminal& terminal,
                                   bool heading) const;

    std::vector<std::string> _headings;
    std::vector<std::vector<std::string>> _rows;
};

} // namespace agent::ctl
