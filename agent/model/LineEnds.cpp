#include "agent/model/LineEnds.h"

#include <algorithm>
#include <array>
#include <bit>
#include <initializer_list>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace agent
{

namespace
{

constexpr std::size_t blockSize = 64;
constexpr std::size_t writtenAtOnce = 2;

#if defined(__x86_64__)
bool hasAvx2()
{
    static const bool has = __builtin_cpu_supports("avx2") != 0 &&
                            __builtin_cpu_supports("popcnt") != 0 &&
                            __builtin_cpu_supports("bmi") != 0;
    return has;
}

/// Returns a bit for each of 32 bytes that is a line end.
[[gnu::target("avx2")]] inline std::uint64_t endsIn(const char* text)
{
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text));
    const __m256i found = _mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\n')),
                                          _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\r')));
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(found));
}

/// Looks at whole blocks, and returns how many bytes those are. `end` goes on behind the last place.
[[gnu::target("avx2,popcnt,bmi")]] std::size_t findInBlocks(std::string_view text,
                                                            std::uint32_t*& end)
{
    std::size_t at = 0;
    for (; at + blockSize <= text.size(); at += blockSize)
    {
        std::uint64_t found = endsIn(text.data() + at) | endsIn(text.data() + at + 32) << 32U;
        // How many there are in a block can't be foretold, so some are written whether or not there are so many.
        std::uint32_t* place = end;
        end += std::popcount(found);
        do
            for (std::size_t i = 0; i < writtenAtOnce; ++i, found &= found - 1)
                *place++ = static_cast<std::uint32_t>(at) +
                           static_cast<std::uint32_t>(std::countr_zero(found));
        while (found != 0);
    }
    return at;
}

constexpr std::size_t lookedBefore = 16;

/// Of a byte's lower half and of its upper half: the rows of the ASCII table, as bits, where it may stand in base64 (the
/// lower four bits) or between hexadecimal digits (the others). DEL passes for base64.
struct Halves
{
    alignas(16) std::array<std::uint8_t, 16> lower{};
    alignas(16) std::array<std::uint8_t, 16> upper{};
};
constexpr std::uint8_t base64Rows = 0x0F;
constexpr std::uint8_t hexRows = 0xF0;

constexpr Halves halves = []
{
    Halves all;
    const auto add =
        [&all](std::initializer_list<unsigned> rows, std::string_view characters, std::uint8_t bit)
    {
        for (const unsigned row : rows)
            all.upper[row] |= bit;
        for (const char c : characters)
            all.lower[static_cast<unsigned char>(c) % 16U] |= bit;
    };
    add({2}, "+/-", 0x01);
    add({3}, "0123456789", 0x02);
    add({4, 6}, "ABCDEFGHIJKLMNO", 0x04);
    add({5, 7}, "PQRSTUVWXYZ_", 0x08);
    add({2}, " -", 0x10);
    add({3}, "0123456789:", 0x20);
    add({4, 6}, "ABCDEF", 0x40);
    return all;
}();

/// Moves the places of `ends` together that are to stay, and returns where they end.
[[gnu::target("avx2")]] std::uint32_t* keepBreaksOf(std::string_view text, std::uint32_t* begin,
                                                    const std::uint32_t* end)
{
    const __m128i lower = _mm_load_si128(reinterpret_cast<const __m128i*>(halves.lower.data()));
    const __m128i upper = _mm_load_si128(reinterpret_cast<const __m128i*>(halves.upper.data()));
    const __m128i half = _mm_set1_epi8(0x0F);
    const __m128i base64 = _mm_set1_epi8(static_cast<char>(base64Rows));
    const __m128i hex = _mm_set1_epi8(static_cast<char>(hexRows));
    const __m128i none = _mm_setzero_si128();
    std::uint32_t* kept = begin;
    for (const std::uint32_t* one = begin; one != end; ++one)
    {
        const std::uint32_t at = *one;
        *kept = at;
        if (at < lookedBefore)
        {
            ++kept; // the bytes before it are another text's
            continue;
        }
        const __m128i bytes =
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at - lookedBefore));
        const __m128i rows =
            _mm_and_si128(_mm_shuffle_epi8(lower, _mm_and_si128(bytes, half)),
                          _mm_shuffle_epi8(upper, _mm_and_si128(_mm_srli_epi16(bytes, 4), half)));
        const int notBase64 = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(rows, base64), none));
        const int notHex = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(rows, hex), none));
        kept += notBase64 == 0 || notHex == 0 ? 1 : 0;
    }
    return kept;
}
#endif

} // namespace

void LineEnds::keepBreaks([[maybe_unused]] std::string_view text)
{
#if defined(__x86_64__)
    if (hasAvx2() && _count > 0)
        _count = static_cast<std::size_t>(
            keepBreaksOf(text, _places.data(), _places.data() + _count) - _places.data());
#endif
}

void LineEnds::find(std::string_view text)
{
    if (_places.size() < text.size() + writtenAtOnce)
        _places.resize(text.size() + writtenAtOnce);
    std::uint32_t* end = _places.data();
    std::size_t at = 0;
#if defined(__x86_64__)
    if (hasAvx2())
        at = findInBlocks(text, end);
#endif
    std::size_t newLine = text.find('\n', at);
    std::size_t carriage = text.find('\r', at);
    while (newLine != carriage) // both npos at last
    {
        std::size_t& next = newLine < carriage ? newLine : carriage;
        *end++ = static_cast<std::uint32_t>(next);
        next = text.find(text[next], next + 1);
    }
    _count = static_cast<std::size_t>(end - _places.data());
}

} // namespace agent
