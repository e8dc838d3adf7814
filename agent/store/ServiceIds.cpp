#include "agent/store/ServiceIds.h"

#include "agent/model/Id.h"
#include "agent/store/Query.h"

namespace agent
{

namespace
{

const Query addService{"INSERT OR IGNORE INTO services (name, id) VALUES (?, ?)"};
const Query serviceIdByName{"SELECT id FROM services WHERE name = ?"};

} // namespace

std::string ServiceIds::of(const std::string& name)
{
    _connection.prepare(addService).bind(name).bind(newId()).run();
    Statement& query = _connection.prepare(serviceIdByName);
    query.bind(name).step();
    std::string id = query.text();
    query.reset();
    return id;
}

} // namespace agent
