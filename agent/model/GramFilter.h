#pragma once

#include "agent/model/FlatMap.h"
#include "agent/model/GramTable.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace agent
{

/// Positions in a text.
struct TextRange
{
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// Tells where in a text a pattern may begin, at several GB/s.
///
/// A gram is some bytes in a row: eight, or four of a pattern that is too short for that. Of each pattern the grams at its
/// offsets 0 … 3 are kept. In the text only each fourth position is looked at, wherever it falls: exactly one of the pattern's
/// grams falls on one. So the cost does not depend on the text, as that of a search by skips does.
///
/// A gram is first looked for in a table that fits into the processor's cache. Where it may be, the gram itself
/// is compared.
class GramFilter
{
public:
    static constexpr std::size_t shortest = 7; ///< bytes of a pattern
    static constexpr std::size_t reach = 11;   ///< a pattern of so many bytes has grams of eight

    /// Takes a pattern of at least `shortest` bytes.
    void add(std::string_view pattern);

    /// Returns the first range from `from` on. The last positions, where fewer than `reach` bytes are left,
    /// are one. Where there is none, or no pattern was added, it is empty and at the end.
    [[nodiscard]] TextRange next(std::string_view text, std::size_t from) const;

private:
    using Offsets = std::uint8_t; ///< of a gram in patterns: a bit each

    template <typename Grams, typename Gram> void keep(Grams& grams, Gram gram, std::size_t offset);
    [[nodiscard]] unsigned offsetsAt(const char* bytes) const;

    GramTable _table;
    FlatMap<std::uint64_t, Offsets> _eights;
    FlatMap<std::uint32_t, Offsets> _fours;
};

/// The same for patterns of four bytes or more, of which the first four are looked for at each position.
class ShortGramFilter
{
public:
    static constexpr std::size_t reach = 4;

    void add(std::string_view pattern);
    [[nodiscard]] TextRange next(std::string_view text, std::size_t from) const;

private:
    GramTable _table;
    FlatMap<std::uint32_t, bool> _grams;
};

} // namespace agent
