// What forges deliver.
#include "agent/api/Json.h"
#include "agent/api/JsonMembers.h"
#include "agent/api/Routes.h"
#include "agent/store/DeliveryStore.h"

#include <algorithm>
#include <charconv>

namespace agent
{

namespace
{

using namespace json;

void putDelivery(Writer& out, const HookDelivery& delivery)
{
    put(out, "receivedAt", formatTime(delivery.at));
    put(out, "forge", delivery.forge);
    putOrNull(out, "delivery", delivery.delivery);
    putOrNull(out, "event", delivery.event);
    putOrNull(out, "repository", delivery.repository);
    putOrNull(out, "ref", delivery.ref);
    put(out, "outcome", delivery.outcome);
    putTexts(out, "runIds", delivery.runIds);
}

std::string deliveryJson(const HookDelivery& delivery)
{
    return object([&](Writer& out) { putDelivery(out, delivery); });
}

} // namespace

Response receiveHook(const ApiParts& api, const Request& request, const std::string&)
{
    const auto forge = forgeFrom(request.segments.back());
    try
    {
        const auto made = api.hooks.receive(*forge, request.headers, request.body);
        const bool started = !made.seen && !made.delivery.runIds.empty();
        return {.status = started ? 201 : 200, .body = deliveryJson(made.delivery)};
    }
    catch (const HookUnproven&)
    {
        throw Refusal{401, "hook_unproven", "the signature or token is missing or wrong", ""};
    }
    catch (const Declined&)
    {
        throw;
    }
    catch (const std::runtime_error& error)
    {
        throw Refusal{400, "invalid_delivery", error.what(), ""};
    }
}

Response listDeliveries(const ApiParts& api, const Request& request, const std::string&)
{
    const std::string text = request.parameter("limit").value_or("100");
    int limit = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error != std::errc{} || end != text.data() + text.size() || limit < 1 || limit > 1000)
        throw Refusal{400, "invalid_value", "limit must be a whole number from 1 to 1000", "limit"};
    auto reader = api.database.reader();
    auto all = DeliveryStore(*reader).newest(limit);
    const auto refused = api.hooks.refused();
    all.insert(all.end(), refused.begin(), refused.end());
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& one, const auto& other) { return one.at > other.at; });
    all.resize(std::min(all.size(), static_cast<std::size_t>(limit)));
    return arrayOf(elementsOf<HookDelivery>(std::move(all), [](const HookDelivery& delivery)
                                            { return deliveryJson(delivery); }));
}

} // namespace agent
