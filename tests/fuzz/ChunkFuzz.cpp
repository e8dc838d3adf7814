// Chunked bodies: the same body, state and end whatever the pieces. The first byte is their size.
#include "agent/api/Framing.h"
#include "tests/fuzz/Fuzzed.h"

#include <string>

using agent::ChunkDecoder;
using fuzzed::require;

namespace
{

struct Decoded
{
    std::string body;
    std::size_t used = 0;
    ChunkDecoder::State state = ChunkDecoder::State::Partial;
    bool operator==(const Decoded&) const = default;
};

Decoded decode(std::string_view bytes, std::size_t piece, std::int64_t limit)
{
    Decoded decoded;
    ChunkDecoder decoder;
    while (!bytes.empty() && decoder.state() == ChunkDecoder::State::Partial)
    {
        const auto part = bytes.substr(0, piece);
        const std::size_t used = decoder.feed(part, decoded.body, limit);
        require(used <= part.size());
        require(used == part.size() || decoder.state() != ChunkDecoder::State::Partial);
        decoded.used += used;
        bytes.remove_prefix(used);
    }
    decoded.state = decoder.state();
    require(static_cast<std::int64_t>(decoded.body.size()) <= limit);
    return decoded;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::string_view input = fuzzed::textOf(data, size);
    const std::size_t piece = fuzzed::takeByte(input) % 16 + 1;
    for (const std::int64_t limit : {0, 100, 1 << 20})
        require(decode(input, piece, limit) == decode(input, input.size() + 1, limit));
    return 0;
}
