#pragma once

#include "agent/store/Database.h"

#include <string>

namespace agent
{

/// The ids of services, which stay the same when a service's file goes and comes back.
/// Errors: Poco::Data::DataException.
class ServiceIds
{
public:
    explicit ServiceIds(RecordSession& connection) : _connection(connection) {}

    /// Returns the id of the service `name`; makes it at its first use.
    std::string of(const std::string& name);

private:
    RecordSession& _connection;
};

} // namespace agent
