#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace agent
{

/// The places of a text's line ends: each \n and \r. At 20 GB/s, whatever the lines are.
class LineEnds
{
public:
    /// Looks for those of `text`, which must be smaller than 4 GiB. What was known of another text is gone.
    void find(std::string_view text);

    /// Drops nearly all that break no wrapped text (see WrappedText.h), by the 16 bytes before them. `text` is that of find().
    void keepBreaks(std::string_view text);

    /// Ascending. Valid until the next find() or keepBreaks().
    [[nodiscard]] const std::uint32_t* begin() const { return _places.data(); }
    [[nodiscard]] const std::uint32_t* end() const { return _places.data() + _count; }

private:
    std::vector<std::uint32_t> _places; ///< with room behind them
    std::size_t _count = 0;
};

} // namespace agent
