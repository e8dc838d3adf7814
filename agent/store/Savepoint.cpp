#include "agent/store/Savepoint.h"

#include "agent/store/Database.h"
#include "agent/store/Query.h"

namespace agent
{

namespace
{

const Query beginPart{"SAVEPOINT part"};
const Query undoPart{"ROLLBACK TO part"};
const Query endPart{"RELEASE part"};

} // namespace

Savepoint::Savepoint(RecordSession& connection) : _connection(connection)
{
    connection.prepare(beginPart).run();
}

void Savepoint::rollBack()
{
    _connection.prepare(undoPart).run();
}

void Savepoint::release()
{
    _connection.prepare(endPart).run();
}

} // namespace agent
