// Targets of requests: one that is taken means one path only, here and behind any proxy, and what is written of it again
// is read as the same.
#include "agent/api/Guard.h"
#include "agent/model/Utf8.h"
#include "tests/fuzz/Fuzzed.h"

#include <cstdio>

using fuzzed::require;

namespace
{

std::string encoded(const std::string& text)
{
    std::string all;
    for (const char c : text)
    {
        char escape[4];
        std::snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned char>(c));
        all += escape;
    }
    return all;
}

std::string written(const agent::Target& target)
{
    std::string all;
    for (const auto& segment : target.segments)
        all.append("/").append(encoded(segment));
    char before = '?';
    if (all.empty())
        all = "/";
    for (const auto& [name, value] : target.query)
    {
        all.append(1, before).append(encoded(name)).append("=").append(encoded(value));
        before = '&';
    }
    return all;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    try
    {
        const agent::Target target = agent::parseTarget(fuzzed::textOf(data, size));
        for (const auto& segment : target.segments)
        {
            require(segment != "." && segment != ".." && agent::isUtf8(segment));
            for (const char c : segment)
                require(c != '/' && c != '\\' && (c < 0 || (c >= 0x20 && c != 0x7f)));
        }
        for (const auto& [name, value] : target.query)
            require(agent::isUtf8(name) && agent::isUtf8(value) &&
                    value.find('\0') == std::string::npos);
        const agent::Target again = agent::parseTarget(written(target));
        require(again.segments == target.segments && again.query == target.query);
    }
    catch (const agent::Refusal& refusal)
    {
        require(refusal.status == 400);
    }
    return 0;
}
