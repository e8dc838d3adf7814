#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace agent
{

/// A stream as it was before an encoder broke it into lines: its breaks are left out.
///
/// A break is a line end (\n or \r) behind 24 characters that all are of base64, or all of hexadecimal digits with blanks, `:` or
/// `-` between them; and the line ends, blanks and tabs that follow. Behind digits that blanks separate, as of od, its last
/// byte stays, as a blank. No encoder makes a break of more than 256 bytes: what is longer ends the text.
///
/// Positions are those of the stream; they only grow.
class WrappedText
{
public:
    enum class Kind
    {
        None,
        Whole, ///< nothing stays of the break
        Blank
    };

    /// Whether the line end at `at` in the stream's next bytes begins a break, and which.
    [[nodiscard]] Kind kindAt(std::string_view text, std::size_t at) const;

    /// The byte `back` before `at`; a zero before the stream's first. At most 24 before the text.
    [[nodiscard]] char before(std::string_view text, std::size_t at, std::size_t back) const
    {
        return back <= at ? text[at - back] : _last[mostBefore - (back - at)];
    }

    /// A break begins at this position, and is open until end().
    void begin(std::uint64_t at, Kind kind);
    void end(std::uint64_t at);

    /// Whether the break that is open would be too long for one if it ended at `end`.
    [[nodiscard]] bool tooLong(std::uint64_t end) const { return end - _openAt > longestBreak; }

    /// The break that is open is none, and no text goes on over those before it.
    void giveUp();
    [[nodiscard]] bool open() const { return _open != Kind::None; }
    [[nodiscard]] Kind kind() const { return _open; }

    /// Whether the next byte belongs to the break that is open.
    [[nodiscard]] static bool continues(char byte)
    {
        return byte == '\n' || byte == '\r' || byte == ' ' || byte == '\t';
    }

    /// Where the bytes begin that end before `end`, or before the break that is open.
    [[nodiscard]] std::uint64_t beginOf(std::uint64_t end, std::size_t length) const;

    /// Whether one of them is before a break.
    [[nodiscard]] bool reachesOver(std::uint64_t end, std::size_t length) const
    {
        return open() || (!_breaks.empty() && end - length < _breaks.back().end);
    }

    /// Calls `take(begin, end)` for each part of them, the last one first.
    template <typename Take>
    void forEachPart(std::uint64_t end, std::size_t length, Take take) const
    {
        std::uint64_t begin = end - length;
        for (auto one = _breaks.rbegin(); one != _breaks.rend() && begin < one->end; ++one)
        {
            take(one->end, end);
            end = one->begin;
            begin -= one->end - one->begin;
        }
        take(begin, end);
    }

    /// Forgets the breaks before `at`.
    void forget(std::uint64_t at);

    /// These were the stream's next bytes.
    void passed(std::string_view text);

private:
    static constexpr std::size_t mostBefore = 24;
    static constexpr std::uint64_t longestBreak = 256;

    struct Break
    {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
    };

    std::vector<Break> _breaks; ///< ascending
    Kind _open = Kind::None;
    std::uint64_t _openAt = 0;
    std::array<char, mostBefore> _last{}; ///< the stream's bytes until now; zeros before its first
};

} // namespace agent
