#include "agent/store/DeliveryStore.h"

#include "agent/store/Query.h"
#include "agent/store/Tables.h"

namespace agent
{

namespace
{

const Query deliveryById{deliveryTable.select("WHERE forge = ? AND delivery = ? AND at >= ?")};
const Query addDelivery{deliveryTable.insert("INSERT OR REPLACE")};
const Query deleteOldDeliveries{"DELETE FROM deliveries WHERE at < ?"};
const Query newestDeliveries{deliveryTable.select("WHERE seq > 0 ORDER BY seq DESC LIMIT ?")};

} // namespace

std::optional<HookDelivery> DeliveryStore::find(const std::string& forge,
                                                const std::string& delivery, TimeMs since)
{
    Statement& query = _connection.prepare(deliveryById).bind(forge).bind(delivery).bind(since);
    std::optional<HookDelivery> found;
    if (query.step())
        deliveryTable.read(query, found.emplace());
    query.reset();
    return found;
}

void DeliveryStore::add(const HookDelivery& delivery)
{
    _connection.prepare(deleteOldDeliveries).bind(delivery.at - keepMs).run();
    deliveryTable.bindInsert(_connection.prepare(addDelivery), delivery).run();
}

std::vector<HookDelivery> DeliveryStore::newest(int limit)
{
    Statement& query = _connection.prepare(newestDeliveries).bind(limit);
    std::vector<HookDelivery> found;
    while (query.step())
        deliveryTable.read(query, found.emplace_back());
    query.reset();
    return found;
}

} // namespace agent
