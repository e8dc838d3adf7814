#include "agent/run/Batch.h"

#include <Poco/Data/SQLite/SQLiteException.h>
#include <Poco/Exception.h>

namespace agent
{

std::exception_ptr Batch::attempt(const std::function<void()>& part)
{
    const std::size_t effects = afterCommit.size();
    const std::size_t counted = endedStages.size();
    const std::size_t logged = log.size();
    const std::uint64_t stuck = stuckStages;
    std::exception_ptr error;
    connection.execute("SAVEPOINT part");
    try
    {
        part();
    }
    catch (const Poco::Data::SQLite::ConstraintViolationException&)
    {
        error = std::current_exception();
    }
    catch (const Poco::Data::DataException&)
    {
        throw;
    }
    catch (const std::exception&)
    {
        error = std::current_exception();
    }
    if (error)
    {
        connection.execute("ROLLBACK TO part");
        afterCommit.resize(effects);
        endedStages.resize(counted);
        log.resize(logged);
        stuckStages = stuck;
    }
    connection.execute("RELEASE part");
    return error;
}

std::string textOf(const std::exception_ptr& error)
{
    try
    {
        std::rethrow_exception(error);
    }
    catch (const Poco::Exception& known)
    {
        return known.displayText();
    }
    catch (const std::exception& known)
    {
        return known.what();
    }
    catch (...)
    {
        return "unknown error";
    }
}

} // namespace agent
