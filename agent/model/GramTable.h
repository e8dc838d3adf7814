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
    GramBytes(std::uint32_t lowBytes, std::uint32_t highBytes) : low(lowBytes), high(highBytes) {}

    std::uint32_t low = 0;
    std::uint32_t high = 0;
};

/// Tells of most grams that they are not in a set, by four bits for each that is (a Bloom filter whose bits lie
/// in one word, one in each byte). It grows with the set, so that about one gram in 500 is told wrongly, and is small enough
/// for the processor's cache with tens of thousands of them.
///
/// Grams of four and of eight bytes may be in one set: those with the same first four bytes share a word, so that one
/// access answers for both.
class GramTable
{
public:
    static constexpr std::size_t stride = 4; ///< of find()

    /// Makes room for `grams`. Returns whether those that were added before are gone.
    bool reserve(std::size_t grams);

    void add(GramBytes<4> gram)
    {
        _words[hash(gram.low) >> _shift] |= bitsOf(gram);
        _fours = true;
    }
    void add(GramBytes<8> gram)
    {
        _words[hash(gram.low) >> _shift] |= bitsOf(gram);
        _eights = true;
    }

    /// False: the gram is not in the set. There must be one of any size.
    [[nodiscard]] bool mayHave(GramBytes<4> gram) const
    {
        return has(hash(gram.low), bitsOf(gram));
    }
    [[nodiscard]] bool mayHave(GramBytes<8> gram) const
    {
        return has(hash(gram.low), bitsOf(gram));
    }

    /// Returns the first of the positions `at`, `at` + 4, … where a gram may be in the set. Where there is none, the first one
    /// with fewer than eight bytes.
    [[nodiscard]] std::size_t find(std::string_view text, std::size_t at) const;

private:
    static constexpr std::uint32_t lowFactor = 0x9E3779B1;
    static constexpr std::uint32_t highFactor = 0x85EBCA77;
    static constexpr unsigned wordBits = 32;
    static constexpr unsigned bitNumber = 5; ///< where each byte of a hash has the number of a bit

    /// The upper bits tell the word.
    static std::uint32_t hash(std::uint32_t low) { return low * lowFactor; }

    /// A bit of each byte of the word.
    static std::uint32_t bitsOf(std::uint32_t hash)
    {
        hash >>= bitNumber;
        return std::uint32_t{1} << hash % 8 | std::uint32_t{0x100} << (hash >> 8U) % 8 |
               std::uint32_t{0x10000} << (hash >> 16U) % 8 |
               std::uint32_t{0x1000000} << (hash >> 24U);
    }
    static std::uint32_t bitsOf(GramBytes<4> gram) { return bitsOf(gram.low * highFactor); }
    static std::uint32_t bitsOf(GramBytes<8> gram)
    {
        return bitsOf(gram.low * lowFactor + gram.high * highFactor);
    }
    [[nodiscard]] bool has(std::uint32_t hash, std::uint32_t bits) const
    {
        return (_words[hash >> _shift] & bits) == bits;
    }

    template <bool Fours, bool Eights>
    [[nodiscard]] std::size_t skip(std::string_view text, std::size_t at) const;
    template <bool Fours, bool Eights>
    [[nodiscard]] std::size_t skipByEight(std::string_view text, std::size_t at) const;

    std::vector<std::uint32_t> _words; ///< a power of two
    unsigned _shift = 0;
    bool _fours = false;
    bool _eights = false;
};

} // namespace agent
