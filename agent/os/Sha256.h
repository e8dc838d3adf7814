#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace agent
{

/// SHA-256 without a library: the shim links none. Source: FIPS 180-4.
class Sha256
{
public:
    using Digest = std::array<std::uint8_t, 32>;

    /// Takes the next bytes of the message.
    void update(std::string_view bytes);

    /// Returns the digest of all that was taken. To be called once, last.
    Digest digest();

    static constexpr std::size_t blockBytes = 64;

private:
    void transform(const std::uint8_t* block);

    std::array<std::uint32_t, 8> _state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<std::uint8_t, blockBytes> _block{};
    std::size_t _inBlock = 0;
    std::uint64_t _bytes = 0;
};

/// Returns the digest as 64 lower-case hexadecimal digits.
std::string toHex(const Sha256::Digest& digest);

/// HMAC with SHA-256. Source: RFC 2104.
Sha256::Digest hmacSha256(std::string_view key, std::string_view message);

} // namespace agent
