#include "agent/model/GramTable.h"

#include <algorithm>
#include <bit>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace agent
{

namespace
{

constexpr std::size_t fewestWords = 2048; ///< 8 KiB
constexpr std::size_t bitsPerGram = 48;   ///< at least half of it
constexpr std::size_t longest = 8;        ///< bytes of a gram

#if defined(__x86_64__)
constexpr std::size_t bytesByEight = sizeof(__m256i) + GramTable::stride;

bool hasAvx2()
{
    static const bool has = __builtin_cpu_supports("avx2") != 0;
    return has;
}

/// Returns all ones in each lane whose word has the bits of the hash.
template <unsigned BitNumber>
[[gnu::target("avx2")]] inline __m256i lanesWith(__m256i words, __m256i hashes)
{
    const __m256i numbers =
        _mm256_and_si256(_mm256_srli_epi32(hashes, BitNumber), _mm256_set1_epi8(7));
    const __m256i bits = _mm256_shuffle_epi8(
        _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201)), numbers);
    return _mm256_cmpeq_epi32(_mm256_and_si256(words, bits), bits);
}
#endif

} // namespace

bool GramTable::reserve(std::size_t grams)
{
    std::size_t words = std::max(fewestWords, _words.size());
    while (words * wordBits < grams * bitsPerGram)
        words *= 2;
    if (words == _words.size())
        return false;
    _words.assign(words, 0);
    _shift = wordBits - static_cast<unsigned>(std::countr_zero(words));
    return true;
}

#if defined(__x86_64__)
/// Returns a position with a gram that may be in the set, or the first one with fewer than bytesByEight behind it.
template <bool Fours, bool Eights>
[[gnu::target("avx2")]] std::size_t GramTable::skipByEight(std::string_view text,
                                                           std::size_t at) const
{
    const __m256i lowFactors = _mm256_set1_epi32(static_cast<int>(lowFactor));
    const __m256i highFactors = _mm256_set1_epi32(static_cast<int>(highFactor));
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(_shift));
    const auto* const words = reinterpret_cast<const int*>(_words.data());

    for (; at + bytesByEight <= text.size(); at += sizeof(__m256i))
    {
        const auto* const low = reinterpret_cast<const __m256i*>(text.data() + at);
        const auto* const high = reinterpret_cast<const __m256i*>(text.data() + at + stride);
        const __m256i lows = _mm256_loadu_si256(low);
        const __m256i hashes = _mm256_mullo_epi32(lows, lowFactors);
        const __m256i found = _mm256_i32gather_epi32(words, _mm256_srl_epi32(hashes, shift), 4);
        __m256i set = _mm256_setzero_si256();
        if (Fours)
            set = lanesWith<bitNumber>(found, _mm256_mullo_epi32(lows, highFactors));
        if (Eights)
            set = _mm256_or_si256(
                set,
                lanesWith<bitNumber>(
                    found, _mm256_add_epi32(
                               hashes, _mm256_mullo_epi32(_mm256_loadu_si256(high), highFactors))));
        const auto lanes = static_cast<unsigned>(_mm256_movemask_epi8(set));
        if (lanes != 0) // a bit for each byte
            return at + static_cast<std::size_t>(std::countr_zero(lanes));
    }
    return at;
}
#endif

template <bool Fours, bool Eights>
std::size_t GramTable::skip(std::string_view text, std::size_t at) const
{
#if defined(__x86_64__)
    if (hasAvx2())
    {
        at = skipByEight<Fours, Eights>(text, at);
        if (at + bytesByEight <= text.size())
            return at;
    }
#endif
    const auto mayBe = [&](std::size_t position)
    {
        const char* const bytes = text.data() + position;
        return unsigned{Fours && mayHave(GramBytes<4>(bytes))} |
               unsigned{Eights && mayHave(GramBytes<8>(bytes))};
    };
    while (at + 3 * stride + longest <= text.size() &&
           (mayBe(at) | mayBe(at + stride) | mayBe(at + 2 * stride) | mayBe(at + 3 * stride)) == 0)
        at += 4 * stride;
    while (at + longest <= text.size() && mayBe(at) == 0)
        at += stride;
    return at;
}

std::size_t GramTable::find(std::string_view text, std::size_t at) const
{
    return !_fours    ? skip<false, true>(text, at)
           : !_eights ? skip<true, false>(text, at)
                      : skip<true, true>(text, at);
}

} // namespace agent
