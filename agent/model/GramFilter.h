#pragma once

#include "agent/model/FlatMap.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <vector>

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
/// A gram is first looked for in a table that fits into the processor's cache and has a bit for each hash;
/// it grows with the grams, so that at most one bit in 64 is set. Where it is, the gram itself is compared.
template <std::size_t Gram, std::size_t Stride> class GramFilter
{
public:
    static constexpr std::size_t reach = Gram + Stride - 1;

    /// Takes a pattern of at least `reach` bytes.
    void add(std::string_view pattern)
    {
        for (std::size_t offset = 0; offset < Stride; ++offset)
        {
            const std::uint64_t gram = gramAt(pattern.data() + offset);
            _offsets[gram] |= static_cast<std::uint8_t>(1U << offset);
            if (_offsets.size() * bitsPerGram > _table.size() * wordBits)
                growTable();
            else
                setBit(gram);
        }
    }

    /// Returns the first range from `from` on. The last positions, where fewer than `reach` bytes are left,
    /// are one. Where there is none, or no pattern was added, it is empty and at the end.
    [[nodiscard]] TextRange next(std::string_view text, std::size_t from) const
    {
        constexpr std::size_t four = 3 * Stride + Gram;
        std::size_t at = from + Stride - 1;
        while (!_table.empty() && at + Gram <= text.size())
        {
            const char* const bytes = text.data() + at;
            if (at + four <= text.size() &&
                ((bitOf(bytes) | bitOf(bytes + Stride) | bitOf(bytes + 2 * Stride) |
                  bitOf(bytes + 3 * Stride)) &
                 1U) == 0)
            {
                at += 4 * Stride;
                continue;
            }
            for (std::size_t i = 0; i < 4 && at + Gram <= text.size(); ++i, at += Stride)
                if (const unsigned offsets = offsetsAt(text.data() + at); offsets != 0)
                    return {.begin = at - static_cast<std::size_t>(std::bit_width(offsets) - 1),
                            .end = at - static_cast<std::size_t>(std::countr_zero(offsets)) + 1};
        }
        const std::size_t untold = _table.empty() ? text.size() : at - (Stride - 1);
        return {.begin = std::min(untold, text.size()), .end = text.size()};
    }

private:
    static_assert(Gram == 4 || Gram == 8);
    static_assert(Stride <= 8, "the offsets are bits of a byte");
    static constexpr std::size_t wordBits = 64;
    static constexpr std::size_t bitsPerGram = 64;
    static constexpr std::size_t fewestWords = 1024; ///< 8 KiB

    static std::uint64_t gramAt(const char* bytes)
    {
        std::conditional_t<Gram == 8, std::uint64_t, std::uint32_t> value = 0;
        std::memcpy(&value, bytes, Gram);
        return value;
    }

    /// The upper bits tell the word of the table.
    static std::uint64_t hash(std::uint64_t gram) { return gram * 0x9E3779B97F4A7C15ULL; }
    static unsigned bitInWord(std::uint64_t hash) { return (hash >> 20U) % wordBits; }

    void setBit(std::uint64_t gram)
    {
        _table[hash(gram) >> _shift] |= std::uint64_t{1} << bitInWord(hash(gram));
    }

    /// The bit of the gram is the result's lowest.
    [[nodiscard]] std::uint64_t bitOf(const char* bytes) const
    {
        const std::uint64_t hashed = hash(gramAt(bytes));
        return _table[hashed >> _shift] >> bitInWord(hashed);
    }

    /// At which offsets of patterns the gram is: a bit each.
    [[nodiscard]] unsigned offsetsAt(const char* bytes) const
    {
        if ((bitOf(bytes) & 1U) == 0)
            return 0;
        const std::uint8_t* const offsets = _offsets.find(gramAt(bytes));
        return offsets != nullptr ? *offsets : 0;
    }

    void growTable()
    {
        _table.assign(std::max(fewestWords, 2 * _table.size()), 0);
        _shift = static_cast<unsigned>(wordBits - std::bit_width(_table.size() - 1));
        _offsets.forEachKey([this](std::uint64_t gram) { setBit(gram); });
    }

    std::vector<std::uint64_t> _table; ///< a power of two
    unsigned _shift = 0;
    FlatMap<std::uint64_t, std::uint8_t> _offsets; ///< by gram
};

} // namespace agent
