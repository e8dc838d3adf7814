#pragma once

#include "agent/model/GramTable.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace agent
{

/// Tells of nearly all breaks in a text (see WrappedText.h) that no pattern goes on over them, by the bytes next to the
/// break.
///
/// Where a break splits a pattern, one byte of it stands before the break and three behind it; three and one where it is
/// before the last bytes of the pattern. These four bytes are kept of each pattern, for all splits within its beginning.
class BreakFilter
{
public:
    static constexpr std::size_t looked =
        4; ///< bytes on either side of a break that mayGoOn() reads

    /// Takes a pattern of at least four bytes, to be found at breaks behind its first `most` bytes or fewer.
    /// `known`: as many of its first bytes are the beginning of a pattern that was taken before.
    void add(std::string_view pattern, std::size_t most, std::size_t known);

    /// Returns false where no pattern goes on over a break. The bytes before it end at `before`, those behind it begin at
    /// `behind`; four of each are read.
    [[nodiscard]] bool mayGoOn(const char* before, const char* behind) const
    {
        const std::uint32_t left = GramBytes<4>(before - looked).low;
        const std::uint32_t right = GramBytes<4>(behind).low;
        return _any || (!_splits.empty() &&
                        (unsigned{_table.mayHave(Split(left >> 24U | right << 8U, 1))} |
                         unsigned{_table.mayHave(Split(left >> 8U | right << 24U, 3))}) != 0);
    }

private:
    using Split = GramBytes<8>; ///< four bytes, and how many of them are before the break

    void keep(std::string_view before, std::string_view behind);

    std::vector<Split> _splits; ///< what _table was made of
    GramTable _table;
    bool _any =
        false; ///< a pattern has fewer than four bytes beside a blank that a break may stand for
};

} // namespace agent
