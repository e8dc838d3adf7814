#pragma once

#include "agent/model/FlatMap.h"
#include "agent/model/GramTable.h"

#include <algorithm>
#include <bit>
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
/// A gram is `Gram` bytes in a row. Of each pattern the `Stride` grams at its offsets 0 … Stride - 1 are
/// kept. In the text only each `Stride`-th position is looked at, wherever it falls: exactly one of
/// the pattern's grams falls on one. So the cost does not depend on the text, as that of a search by
/// skips does, and a pattern has to be as long as its grams together (`reach`).
///
/// A gram is first looked for in a table that fits into the processor's cache. Where it may be, the gram itself
/// is compared.
template <std::size_t Gram, std::size_t Stride> class GramFilter
{
public:
    static constexpr std::size_t reach = Gram + Stride - 1;

    /// Takes a pattern of at least `reach` bytes.
    void add(std::string_view pattern)
    {
        for (std::size_t offset = 0; offset < Stride; ++offset)
        {
            const GramBytes<Gram> gram(pattern.data() + offset);
            _offsets[keyOf(gram)] |= static_cast<std::uint8_t>(1U << offset);
            if (_table.reserve(_offsets.size()))
                _offsets.forEachKey([this](std::uint64_t key) { _table.add(gramOf(key)); });
            else
                _table.add(gram);
        }
    }

    /// Returns the first range from `from` on. The last positions, where fewer than `reach` bytes are left,
    /// are one. Where there is none, or no pattern was added, it is empty and at the end.
    [[nodiscard]] TextRange next(std::string_view text, std::size_t from) const
    {
        if (_offsets.size() == 0)
            return {.begin = text.size(), .end = text.size()};
        for (std::size_t at = from + Stride - 1;; at += Stride)
        {
            at = firstCandidate(text, at);
            if (at + Gram > text.size())
                return {.begin = std::min(at - (Stride - 1), text.size()), .end = text.size()};
            const std::uint8_t* const found =
                _offsets.find(keyOf(GramBytes<Gram>(text.data() + at)));
            if (found == nullptr)
                continue;
            const unsigned offsets = *found;
            return {.begin = at - static_cast<std::size_t>(std::bit_width(offsets) - 1),
                    .end = at - static_cast<std::size_t>(std::countr_zero(offsets)) + 1};
        }
    }

private:
    static_assert(Stride <= 8, "the offsets are bits of a byte");

    static std::uint64_t keyOf(GramBytes<Gram> gram)
    {
        return std::uint64_t{gram.high} << 32U | gram.low;
    }
    static GramBytes<Gram> gramOf(std::uint64_t key)
    {
        return GramBytes<Gram>(reinterpret_cast<const char*>(&key));
    }

    [[nodiscard]] std::size_t firstCandidate(std::string_view text, std::size_t at) const
    {
        if constexpr (Stride == GramTable::stride)
            return _table.find<Gram>(text, at);
        while (at + Gram <= text.size() && !_table.mayHave(GramBytes<Gram>(text.data() + at)))
            at += Stride;
        return at;
    }

    GramTable _table;
    FlatMap<std::uint64_t, std::uint8_t> _offsets; ///< of the patterns' grams: a bit each
};

} // namespace agent
