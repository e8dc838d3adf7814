// The files that agent and shim exchange, which a stage may have written: what is taken is written and read again as the
// same. The first byte chooses the file.
#include "agent/wire/Order.h"
#include "tests/fuzz/Fuzzed.h"

using fuzzed::require;

namespace
{

template <typename File>
void check(const std::string& json,
           std::optional<File> (*parse)(const std::string& text, std::string* why))
{
    std::string why;
    const auto file = parse(json, &why);
    require(file.has_value() == why.empty());
    if (!file)
        return;
    const auto again = parse(agent::toJson(*file), nullptr);
    require(again && agent::toJson(*again) == agent::toJson(*file));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::string_view input = fuzzed::textOf(data, size);
    const std::size_t choice = fuzzed::takeByte(input) % 5;
    const std::string json(input);
    switch (choice)
    {
    case 0:
        check(json, agent::orderFrom);
        break;
    case 1:
        check(json, agent::claimFrom);
        break;
    case 2:
        check(json, agent::outcomeFrom);
        break;
    case 3:
        check(json, agent::heldFrom);
        break;
    default:
        if (const auto order = agent::identityFrom(json))
            require(order->runId.find('\0') == std::string::npos);
        break;
    }
    return 0;
}
