#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace fuzzed
{

/// Ends the program, so that the fuzzer keeps the input.
inline void require(bool holds)
{
    if (!holds)
        std::abort();
}

inline std::string_view textOf(const std::uint8_t* data, std::size_t size)
{
    return {reinterpret_cast<const char*>(data), size};
}

/// Takes the first byte off; 0 when there is none.
inline std::size_t takeByte(std::string_view& input)
{
    if (input.empty())
        return 0;
    const auto byte = static_cast<std::uint8_t>(input.front());
    input.remove_prefix(1);
    return byte;
}

} // namespace fuzzed
