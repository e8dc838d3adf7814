#pragma once

#include "agent/model/HookDelivery.h"
#include "agent/store/Database.h"

#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// What forges delivered in the last 24 h. A thin view on a connection, as RunStore.
/// Errors: Poco::Data::DataException.
class DeliveryStore
{
public:
    static constexpr TimeMs keepMs = 86'400'000;

    explicit DeliveryStore(RecordSession& connection) : _connection(connection) {}

    /// Returns the delivery with the forge's id, if it came in since `since`.
    [[nodiscard]] std::optional<HookDelivery> find(const std::string& forge,
                                                   const std::string& delivery, TimeMs since);

    /// Adds it, and forgets what is 24 h older.
    void add(const HookDelivery& delivery);

    /// At most `limit`, newest first.
    [[nodiscard]] std::vector<HookDelivery> newest(int limit);

private:
    RecordSession& _connection;
};

} // namespace agent
