#include "agent/model/WrappedText.h"

#include <algorithm>

namespace agent
{

namespace
{

enum Class : std::uint8_t
{
    Base64 = 1,
    Hex = 2
};

constexpr std::array<std::uint8_t, 256> classes = []
{
    std::array<std::uint8_t, 256> all{};
    const auto add = [&all](std::string_view characters, Class one)
    {
        for (const char c : characters)
            all[static_cast<unsigned char>(c)] |= one;
    };
    add("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_", Base64);
    add("0123456789ABCDEFabcdef :-", Hex);
    return all;
}();

} // namespace

WrappedText::Kind WrappedText::kindAt(std::string_view text, std::size_t at) const
{
    unsigned common = Base64 | Hex;
    unsigned blanks = 0;
    const auto take = [&](char c)
    {
        blanks += c == ' ' ? 1 : 0;
        return common &= classes[static_cast<unsigned char>(c)];
    };
    const std::size_t near = std::min(at, mostBefore);
    for (const char* c = text.data() + at; c != text.data() + at - near;)
        if (take(*--c) == 0)
            return Kind::None;
    for (std::size_t back = near + 1; back <= mostBefore; ++back)
        if (take(before(text, at, back)) == 0)
            return Kind::None;
    const char last = before(text, at, 1);
    return blanks > 0 && last != ' ' && last != ':' ? Kind::Blank : Kind::Whole;
}

void WrappedText::begin(std::uint64_t at, Kind kind)
{
    _open = kind;
    _openAt = at;
}

void WrappedText::end(std::uint64_t at)
{
    _breaks.push_back({.begin = _openAt, .end = _open == Kind::Blank ? at - 1 : at});
    _open = Kind::None;
}

void WrappedText::giveUp()
{
    _open = Kind::None;
    _breaks.clear();
}

std::uint64_t WrappedText::beginOf(std::uint64_t end, std::size_t length) const
{
    std::uint64_t begin = 0;
    forEachPart(open() ? _openAt : end, length,
                [&begin](std::uint64_t first, std::uint64_t) { begin = first; });
    return begin;
}

void WrappedText::forget(std::uint64_t at)
{
    std::erase_if(_breaks, [at](const Break& one) { return one.end <= at; });
}

void WrappedText::passed(std::string_view text)
{
    const std::size_t taken = std::min(text.size(), mostBefore);
    std::rotate(_last.begin(), _last.begin() + static_cast<std::ptrdiff_t>(taken), _last.end());
    std::copy(text.end() - static_cast<std::ptrdiff_t>(taken), text.end(),
              _last.end() - static_cast<std::ptrdiff_t>(taken));
}

} // namespace agent
