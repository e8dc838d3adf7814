#include "agent/run/Batch.h"

#include "agent/store/Savepoint.h"

#include <Poco/Data/SQLite/SQLiteException.h>
#include <Poco/Exception.h>

namespace agent
{

void Batch::insert(Run& run)
{
    runs.insert(run);
    _inserted.insert(run.id);
    enqueue(run.seq, QueuedRun::of(run));
}

void Batch::update(Run& run, bool sameStatus)
{
    runs.update(run, sameStatus);
    enqueue(run.seq, QueuedRun::of(run));
}

void Batch::remove(const Run& run)
{
    runs.removeRun(run.id);
    enqueue(run.seq, std::nullopt);
}

void Batch::enqueue(std::int64_t seq, const std::optional<QueuedRun>& run)
{
    onRollback([this, seq, before = queue.set(seq, run)] { queue.set(seq, before); });
}

void Batch::undoTo(std::size_t size)
{
    for (; _undo.size() > size; _undo.pop_back())
        _undo.back()();
}

std::exception_ptr Batch::attempt(const std::function<void()>& part)
{
    const std::size_t launched = launches.size();
    const std::size_t effects = afterCommit.size();
    const std::size_t counted = endedStages.size();
    const std::size_t logged = log.size();
    const std::uint64_t stuck = stuckStages;
    const std::size_t changes = _undo.size();
    std::exception_ptr error;
    Savepoint savepoint(connection);
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
        savepoint.rollBack();
        undoTo(changes);
        launches.resize(launched);
        afterCommit.resize(effects);
        endedStages.resize(counted);
        log.resize(logged);
        stuckStages = stuck;
    }
    savepoint.release();
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
