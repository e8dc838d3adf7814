#include "agent/store/Query.h"

#include <utility>

namespace agent
{

namespace
{

/// Made at its first use: queries of other files are constructed in no given order.
std::vector<const Query*>& registered()
{
    static std::vector<const Query*> queries;
    return queries;
}

} // namespace

Query::Query(std::string sql) : _sql(std::move(sql)), _number(registered().size())
{
    registered().push_back(this);
}

const std::vector<const Query*>& Query::all()
{
    return registered();
}

} // namespace agent
