#include "agent/model/TextPieces.h"

#include <algorithm>

namespace agent
{

namespace
{

/// Bounds the number of pieces too, whatever the text is.
constexpr std::size_t shortestBorrowed = 256;

} // namespace

void TextPieces::borrow(std::string_view text)
{
    if (text.empty())
        return;
    const bool goesOn = !_pieces.empty() && _pieces.back().borrowed != nullptr &&
                        _pieces.back().borrowed + _pieces.back().size == text.data();
    if (goesOn)
        _pieces.back().size += text.size();
    else if (text.size() < shortestBorrowed)
        return copy(text);
    else
        _pieces.push_back({.borrowed = text.data(), .copied = 0, .size = text.size()});
    _size += text.size();
}

void TextPieces::copy(std::string_view text)
{
    if (text.empty())
        return;
    if (_pieces.empty() || _pieces.back().borrowed != nullptr)
        _pieces.push_back({.borrowed = nullptr, .copied = _copies.size(), .size = 0});
    _copies.append(text);
    _pieces.back().size += text.size();
    _size += text.size();
}

void TextPieces::clear()
{
    _pieces.clear();
    _copies.clear();
    _size = 0;
}

std::string_view TextPieces::textOf(const Piece& piece) const
{
    const char* const data =
        piece.borrowed != nullptr ? piece.borrowed : _copies.data() + piece.copied;
    return {data, piece.size};
}

std::size_t TextPieces::wholeLines() const
{
    std::size_t before = _size;
    for (auto piece = _pieces.rbegin(); piece != _pieces.rend(); ++piece)
    {
        before -= piece->size;
        const std::size_t lineEnd = textOf(*piece).rfind('\n');
        if (lineEnd != std::string_view::npos)
            return before + lineEnd + 1;
    }
    return 0;
}

void TextPieces::view(std::size_t begin, std::size_t end,
                      std::vector<std::string_view>& views) const
{
    std::size_t before = 0;
    for (const Piece& piece : _pieces)
    {
        const std::size_t from = std::max(begin, before);
        const std::size_t to = std::min(end, before + piece.size);
        if (from < to)
            views.push_back(textOf(piece).substr(from - before, to - from));
        before += piece.size;
    }
}

void TextPieces::appendTo(std::string& text, std::size_t begin) const
{
    std::vector<std::string_view> views;
    view(begin, _size, views);
    for (const std::string_view piece : views)
        text.append(piece);
}

} // namespace agent
