#include "agent/model/LineEnds.h"

#include <algorithm>
#include <bit>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace agent
{

namespace
{

constexpr std::size_t blockSize = 64;
constexpr std::size_t writtenAtOnce = 4;

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
#endif

} // namespace

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
