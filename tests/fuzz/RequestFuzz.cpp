// Requests as they arrive, several on one connection: what is read must not depend on how the bytes are cut. The first
// byte is the size of the pieces.
#include "agent/api/RequestReader.h"
#include "tests/fuzz/Fuzzed.h"

#include <string>

using agent::RequestReader;
using fuzzed::require;

namespace
{

constexpr std::int64_t bodyLimit = 1000;

/// What came of the bytes: each request, then how it ended.
std::string readAll(std::string_view bytes, std::size_t piece)
{
    std::string seen;
    RequestReader reader(bodyLimit);
    do
    {
        const auto part = bytes.substr(0, piece);
        bytes.remove_prefix(part.size());
        auto state = reader.feed(part);
        while (state == RequestReader::State::Whole)
        {
            try
            {
                const agent::Request request = reader.takeRequest({});
                require(request.body.size() <= static_cast<std::size_t>(bodyLimit));
                require(!request.method.empty() && request.path.starts_with('/'));
                seen += request.method + " " + request.path + "\n";
                for (const auto& [name, value] : request.headers)
                    seen.append(name).append(": ").append(value).append("\n");
                seen += request.body + "\n";
            }
            catch (const agent::Refusal& refusal)
            {
                require(refusal.status == 400);
                seen += refusal.message + "\n";
            }
            state = reader.next();
        }
        if (state == RequestReader::State::Refused)
            return seen + std::to_string(reader.refusal().status) + reader.refusal().message;
    } while (!bytes.empty());
    if (reader.end() == RequestReader::State::Refused)
        return seen + reader.refusal().message;
    return seen + (reader.hasBytes() ? "more" : "idle");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::string_view input = fuzzed::textOf(data, size);
    const std::size_t piece = fuzzed::takeByte(input) % 32 + 1;
    require(readAll(input, piece) == readAll(input, input.size() + 1));
    return 0;
}
