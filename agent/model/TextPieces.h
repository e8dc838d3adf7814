#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// A text that was put together from others: the long ones are borrowed, so that what nobody changes is not
/// copied on its way through; short ones are copied, as to write them one by one costs more than that.
class TextPieces
{
public:
    /// Appends a text that stays as it is until clear().
    void borrow(std::string_view text);

    /// Appends a copy.
    void copy(std::string_view text);

    void clear();

    [[nodiscard]] std::size_t size() const { return _size; }

    /// Returns the size of all up to the last line end, which is included; 0 where there is none.
    [[nodiscard]] std::size_t wholeLines() const;

    /// Appends views of the bytes from `begin` to `end`. They are valid until the next change.
    void view(std::size_t begin, std::size_t end, std::vector<std::string_view>& views) const;

    /// Appends the bytes from `begin` on to `text`.
    void appendTo(std::string& text, std::size_t begin = 0) const;

private:
    struct Piece
    {
        const char* borrowed = nullptr; ///< none: it is in _copies
        std::size_t copied = 0;         ///< where there
        std::size_t size = 0;
    };

    [[nodiscard]] std::string_view textOf(const Piece& piece) const;

    std::vector<Piece> _pieces;
    std::string _copies;
    std::size_t _size = 0;
};

} // namespace agent
