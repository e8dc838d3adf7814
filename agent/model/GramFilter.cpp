#include "agent/model/GramFilter.h"

#include <algorithm>
#include <bit>

namespace agent
{

namespace
{

constexpr std::size_t stride = GramTable::stride;
constexpr std::size_t four = 4;
constexpr std::size_t eight = 8;

std::uint64_t keyOf(GramBytes<eight> gram)
{
    return std::uint64_t{gram.high} << 32U | gram.low;
}

std::uint32_t keyOf(GramBytes<four> gram)
{
    return gram.low;
}

GramBytes<eight> gramOf(std::uint64_t key)
{
    return {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32U)};
}

GramBytes<four> gramOf(std::uint32_t key)
{
    return {key, 0};
}

} // namespace

void GramFilter::add(std::string_view pattern)
{
    for (std::size_t offset = 0; offset < stride; ++offset)
        if (pattern.size() >= reach)
            keep(_eights, GramBytes<eight>(pattern.data() + offset), offset);
        else
            keep(_fours, GramBytes<four>(pattern.data() + offset), offset);
}

template <typename Grams, typename Gram>
void GramFilter::keep(Grams& grams, Gram gram, std::size_t offset)
{
    grams[keyOf(gram)] |= static_cast<Offsets>(1U << offset);
    if (!_table.reserve(_eights.size() + _fours.size()))
        return _table.add(gram);
    const auto again = [this](auto key) { _table.add(gramOf(key)); };
    _eights.forEachKey(again);
    _fours.forEachKey(again);
}

unsigned GramFilter::offsetsAt(const char* bytes) const
{
    const Offsets* const eights = _eights.find(keyOf(GramBytes<eight>(bytes)));
    const Offsets* const fours = _fours.find(keyOf(GramBytes<four>(bytes)));
    return (eights == nullptr ? 0U : *eights) | (fours == nullptr ? 0U : *fours);
}

TextRange GramFilter::next(std::string_view text, std::size_t from) const
{
    if (_eights.size() + _fours.size() == 0)
        return {.begin = text.size(), .end = text.size()};
    for (std::size_t at = from + stride - 1;; at += stride)
    {
        at = _table.find(text, at);
        if (at + eight > text.size())
            return {.begin = std::min(at - (stride - 1), text.size()), .end = text.size()};
        if (const unsigned offsets = offsetsAt(text.data() + at); offsets != 0)
            return {.begin = at - static_cast<std::size_t>(std::bit_width(offsets) - 1),
                    .end = at - static_cast<std::size_t>(std::countr_zero(offsets)) + 1};
    }
}

void ShortGramFilter::add(std::string_view pattern)
{
    const GramBytes<four> gram(pattern.data());
    _grams[keyOf(gram)] = true;
    if (_table.reserve(_grams.size()))
        _grams.forEachKey([this](std::uint32_t key) { _table.add(gramOf(key)); });
    else
        _table.add(gram);
}

TextRange ShortGramFilter::next(std::string_view text, std::size_t from) const
{
    if (_grams.size() == 0)
        return {.begin = text.size(), .end = text.size()};
    for (std::size_t at = from; at + four <= text.size(); ++at)
    {
        const GramBytes<four> gram(text.data() + at);
        if (_table.mayHave(gram) && _grams.find(keyOf(gram)) != nullptr)
            return {.begin = at, .end = at + 1};
    }
    return {.begin = std::min(std::max(from, text.size() - std::min(text.size(), four - 1)),
                              text.size()),
            .end = text.size()};
}

} // namespace agent
