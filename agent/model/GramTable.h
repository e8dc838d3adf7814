#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace agent
{

/// `Gram` bytes in a row, as two numbers; of four bytes the second one is 0.
template <std::size_t Gram> struct GramBytes
{
    static_assert(Gram == 4 || Gram == 8);

    explicit GramBytes(const char* bytes)
    {
        std::memcpy(&low, bytes, sizeof low);
        if constexpr (Gram == 8)
            std::memcpy(&high, bytes + sizeof low, sizeof high);
    }

    std::uint32_t low = 0;
    std::uint32_t high = 0;
};

/// Tells of most grams that they are not in a set, by two bits for each that is (a Bloom filter whose bits lie
/// in one word). It grows with the set, so that about one gram in 200 is told wrongly, and is small enough
/// for the processor's cache with tens of thousands of them.
class GramTable
{
public:
    static constexpr std::size_t stride = 4; ///< of find()

    /// Makes room for `grams`. Returns whether those that were added before are gone.
    bool reserve(std::size_t grams);

    template <std::size_t Gram> void add(GramBytes<Gram> gram)
    {
        const std::uint32_t hashed = hash(gram);
        _words[hashed >> _shift] |= bitsOf(hashed);
    }

    /// False: the gram is not in the set. There must be one.
    template <std::size_t Gram> [[nodiscard]] bool mayHave(GramBytes<Gram> gram) const
    {
        const std::uint32_t hashed = hash(gram);
        const std::uint32_t bits = bitsOf(hashed);
        return (_words[hashed >> _shift] & bits) == bits;
    }

    /// Returns the first of the positions `at`, `at` + 4, … whose gram may be in the set. Where there is none,
    /// the first one that has no whole gram.
    template <std::size_t Gram>
    [[nodiscard]] std::size_t find(std::string_view text, std::size_t at) const;

private:
    static constexpr std::uint32_t lowFactor = 0x9E3779B1;
    static constexpr std::uint32_t highFactor = 0x85EBCA77;
    static constexpr unsigned wordBits = 32;
    static constexpr unsigned firstBit =
        8; ///< where a hash has the number of a bit, and of another
    static constexpr unsigned secondBit = 3;

    /// The upper bits tell the word, two times five others its bits.
    template <std::size_t Gram> static std::uint32_t hash(GramBytes<Gram> gram)
    {
        return gram.low * lowFactor + gram.high * highFactor;
    }
    static std::uint32_t bitsOf(std::uint32_t hash)
    {
        return std::uint32_t{1} << (hash >> firstBit) % wordBits |
               std::uint32_t{1} << (hash >> secondBit) % wordBits;
    }

    template <std::size_t Gram>
    [[nodiscard]] std::size_t skipByEight(std::string_view text, std::size_t at) const;

    std::vector<std::uint32_t> _words; ///< a power of two
    unsigned _shift = 0;
};

} // namespace agent
