// The masker against its plain reference. The first byte gives the number of secrets (1-3), each secret
// follows with its length in one byte; the rest is text. A zero byte in the text is a border of chunks.
#include "agent/model/Masker.h"
#include "tests/support/NaiveMasker.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace
{

std::size_t takeByte(std::string_view& input)
{
    if (input.empty())
        return 0;
    const auto byte = static_cast<std::uint8_t>(input.front());
    input.remove_prefix(1);
    return byte;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::string_view input(reinterpret_cast<const char*>(data), size);
    std::vector<std::string> secrets;
    const std::size_t count = takeByte(input) % 3 + 1;
    for (std::size_t i = 0; i < count; ++i)
    {
        const std::size_t length =
            std::min(agent::shortestSecret + takeByte(input) % 16, input.size());
        if (length < agent::shortestSecret)
            return 0;
        secrets.emplace_back(input.substr(0, length));
        input.remove_prefix(length);
    }

    agent::Masker masker(secrets);
    const NaiveMasker naive(secrets);
    std::string text;
    std::string masked;
    while (!input.empty())
    {
        const std::string_view chunk = input.substr(0, input.find('\0'));
        masker.feed(chunk, masked);
        text += chunk;
        if (masker.held() != naive.undecided(text))
            std::abort();
        input.remove_prefix(std::min(chunk.size() + 1, input.size()));
    }
    masker.flush(masked);
    if (masked != naive.mask(text))
        std::abort();
    return 0;
}
