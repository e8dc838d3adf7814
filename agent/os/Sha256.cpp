#include "agent/os/Sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace agent
{

namespace
{

/// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
constexpr std::array<std::uint32_t, 64> roundConstants{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

constexpr std::uint32_t bigEndian(const std::uint8_t* bytes)
{
    return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
           std::uint32_t{bytes[2]} << 8 | std::uint32_t{bytes[3]};
}

std::string_view textOf(const Sha256::Digest& digest)
{
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

} // namespace

void Sha256::update(std::string_view bytes)
{
    _bytes += bytes.size();
    while (!bytes.empty())
    {
        const std::size_t taken = std::min(bytes.size(), blockBytes - _inBlock);
        std::memcpy(_block.data() + _inBlock, bytes.data(), taken);
        bytes.remove_prefix(taken);
        _inBlock += taken;
        if (_inBlock < blockBytes)
            return;
        transform(_block.data());
        _inBlock = 0;
    }
}

Sha256::Digest Sha256::digest()
{
    constexpr std::size_t lengthBytes = 8;
    const std::uint64_t bits = _bytes * 8;
    _block[_inBlock++] = 0x80;
    if (_inBlock > blockBytes - lengthBytes)
    {
        std::fill(_block.begin() + static_cast<std::ptrdiff_t>(_inBlock), _block.end(), 0);
        transform(_block.data());
        _inBlock = 0;
    }
    std::fill(_block.begin() + static_cast<std::ptrdiff_t>(_inBlock), _block.end(), 0);
    for (std::size_t i = 0; i < lengthBytes; ++i)
        _block[blockBytes - 1 - i] = static_cast<std::uint8_t>(bits >> (8 * i));
    transform(_block.data());
    Digest digest{};
    for (std::size_t i = 0; i < digest.size(); ++i)
        digest[i] = static_cast<std::uint8_t>(_state[i / 4] >> (24 - 8 * (i % 4)));
    return digest;
}

void Sha256::transform(const std::uint8_t* block)
{
    using std::rotr;
    std::array<std::uint32_t, 64> words{};
    for (std::size_t i = 0; i < 16; ++i)
        words[i] = bigEndian(block + 4 * i);
    for (std::size_t i = 16; i < words.size(); ++i)
    {
        const std::uint32_t early = words[i - 15];
        const std::uint32_t late = words[i - 2];
        words[i] = words[i - 16] + (rotr(early, 7) ^ rotr(early, 18) ^ early >> 3) + words[i - 7] +
                   (rotr(late, 17) ^ rotr(late, 19) ^ late >> 10);
    }
    auto [a, b, c, d, e, f, g, h] = _state;
    for (std::size_t i = 0; i < words.size(); ++i)
    {
        const std::uint32_t first = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) +
                                    ((e & f) ^ (~e & g)) + roundConstants[i] + words[i];
        const std::uint32_t second =
            (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + first;
        d = c;
        c = b;
        b = a;
        a = first + second;
    }
    const std::array<std::uint32_t, 8> added{a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < _state.size(); ++i)
        _state[i] += added[i];
}

std::string toHex(const Sha256::Digest& digest)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : digest)
    {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

Sha256::Digest hmacSha256(std::string_view key, std::string_view message)
{
    std::string padded(key);
    if (padded.size() > Sha256::blockBytes)
    {
        Sha256 shorter;
        shorter.update(key);
        padded = textOf(shorter.digest());
    }
    padded.resize(Sha256::blockBytes, '\0');
    std::string inner = padded;
    std::string outer = padded;
    for (std::size_t i = 0; i < padded.size(); ++i)
    {
        inner[i] = static_cast<char>(inner[i] ^ 0x36);
        outer[i] = static_cast<char>(outer[i] ^ 0x5c);
    }
    Sha256 first;
    first.update(inner);
    first.update(message);
    Sha256 second;
    second.update(outer);
    second.update(textOf(first.digest()));
    return second.digest();
}

} // namespace agent
