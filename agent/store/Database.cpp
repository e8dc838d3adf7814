#include "agent/store/Database.h"

#include "agent/store/Query.h"
#include "agent/store/RecordCheck.h"
#include "agent/store/Schema.h"
#include "agent/wire/Failpoint.h"

#include <Poco/Data/DataException.h>
#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/SQLite/Utility.h>
#include <Poco/Data/Session.h>
#include <Poco/Exception.h>
#include <Poco/NumberFormatter.h>

#include <sqlite3.h>
#include <stdexcept>
#include <sys/stat.h>

namespace agent
{

using Poco::Data::Session;
using Poco::Data::Keywords::into;
using Poco::Data::Keywords::now;

namespace
{

/// Readers wait that long at most for a lock; the writer meets none.
constexpr int busyTimeoutMs = 5000;

const Query beginSnapshot{"BEGIN"};
const Query beginTransaction{"BEGIN IMMEDIATE"};
const Query commitTransaction{"COMMIT"};
const Query rollBackTransaction{"ROLLBACK"};

/// `file:` URI of a path; Poco opens with SQLITE_OPEN_URI, so `?` and `#` must not be read as syntax.
std::string uriOf(const std::filesystem::path& file, RecordSession::Mode mode)
{
    std::string uri = "file:";
    for (const char c : file.string())
    {
        if (c == '%' || c == '?' || c == '#')
            uri += "%" + Poco::NumberFormatter::formatHex(static_cast<unsigned>(c), 2);
        else
            uri += c;
    }
    switch (mode)
    {
    case RecordSession::Mode::Write:
        return uri + "?mode=rwc";
    case RecordSession::Mode::ReadOnly:
        return uri + "?mode=ro";
    case RecordSession::Mode::Beside:
        // Without a writer SQLite then keeps the index of the write-ahead log in memory.
        return uri + "?mode=ro&readonly_shm=1";
    case RecordSession::Mode::Settled:
        return uri + "?mode=ro&immutable=1";
    }
    return uri;
}

/// Poco tells what SQLite says as `x: x`.
std::string saidOnce(const Poco::Exception& error)
{
    const std::string text = error.message().empty() ? error.displayText() : error.message();
    const std::string first = text.substr(0, text.size() / 2 - (text.size() > 1 ? 1 : 0));
    return text == first + ": " + first ? first : text;
}

void migrate(RecordSession& connection, const std::filesystem::path& file)
{
    int version = 0;
    connection.session() << "PRAGMA user_version", into(version), now;
    const int newest = static_cast<int>(schemaSteps.size());
    if (version > newest)
        throw std::runtime_error(
            file.string() + " is of schema " + std::to_string(version) +
            ", this stage-agent knows up to " + std::to_string(newest) +
            ": run the newer version, or move the file away to start with an empty record");
    for (; version < newest; ++version)
    {
        Transaction transaction(connection);
        for (const char* statement : schemaSteps[static_cast<std::size_t>(version)])
            connection.execute(statement);
        connection.execute("PRAGMA user_version = " + std::to_string(version + 1));
        transaction.commit();
    }
}

} // namespace

RecordSession::RecordSession(const std::filesystem::path& file, Mode mode)
{
    _session = std::make_unique<Session>("SQLite", uriOf(file, mode), 1);
    _handle = Poco::Data::SQLite::Utility::dbHandle(*_session);
    if (mode == Mode::Write)
    {
        execute("PRAGMA journal_mode = WAL");
        execute("PRAGMA synchronous = FULL");
        execute(
            "PRAGMA journal_size_limit = 16777216"); // what a long reader made of it is given back
        execute("PRAGMA temp_store = MEMORY");       // a savepoint needs no disk
        execute("PRAGMA foreign_keys = ON");
    }
    else
    {
        execute("PRAGMA query_only = ON");
        execute("PRAGMA wal_autocheckpoint = 0");
    }
    execute("PRAGMA busy_timeout = " + std::to_string(busyTimeoutMs));
}

RecordSession::~RecordSession()
{
    _statements.clear(); // before the session closes their handle
}

Statement& RecordSession::prepare(const Query& query)
{
    if (query.number() >= _statements.size())
        _statements.resize(Query::all().size());
    auto& kept = _statements[query.number()];
    if (!kept)
        kept = std::make_unique<Statement>(_handle, query.sql().c_str());
    return kept->reset();
}

bool RecordSession::checkpoint()
{
    Statement checkpoint = prepareOnce("PRAGMA wal_checkpoint(PASSIVE)");
    if (!checkpoint.step() || checkpoint.integer() != 0)
        return false;
    const std::int64_t frames = checkpoint.integer();
    return checkpoint.integer() == frames;
}

void RecordSession::keepLog()
{
    execute("PRAGMA journal_size_limit = -1"); // else it is emptied at the close
    int keep = 1;
    sqlite3_file_control(_handle, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
}

void RecordSession::interrupt()
{
    sqlite3_interrupt(_handle);
}

Statement RecordSession::prepareOnce(const std::string& sql) const
{
    return {_handle, sql.c_str()};
}

void RecordSession::execute(const std::string& sql)
{
    *_session << sql, now;
}

Database::Database(const std::filesystem::path& file) : _file(file), _reserve(file)
{
    Poco::Data::SQLite::Connector::registerConnector();
    _endedUncleanly = _reserve.logHoldsChanges();
    try
    {
        open();
        checkFirstPages(*_writer);
    }
    catch (const Poco::Exception& error)
    {
        throw std::runtime_error(
            "the record " + file.string() + " can't be used: " + saidOnce(error) +
            ". Restore it from a backup, or move it away to start with an empty record");
    }
    migrate(*_writer, file);
    ::chmod(file.c_str(), 0600);
    takeFreePages();
}

Database::~Database()
{
    _idle.clear(); // the writer closes last: its close makes the final checkpoint
    const bool whole = logIsTakenOver();
    _writer.reset();
    if (whole)
        _reserve.putAway();
}

void Database::open()
{
    std::error_code error;
    if (const auto size = std::filesystem::file_size(_file, error); error || size == 0)
    {
        // SQLite removes the log of an empty record.
        _reserve.prepareRecord();
        const RecordSession first(_file, RecordSession::Mode::Write);
    }
    _reserve.bringOut();
    _writer = std::make_unique<RecordSession>(_file, RecordSession::Mode::Write);
}

/// Works without.
void Database::takeFreePages()
try
{
    constexpr std::uintmax_t enough = std::uintmax_t{16} << 20;
    std::error_code error;
    {
        Transaction transaction(*_writer);
        FreePages::release(*_writer); // of a daemon that was killed in between
        if (std::filesystem::space(_file, error).available > enough && !error)
            FreePages::take(*_writer);
        transaction.commit();
    }
    Transaction transaction(*_writer);
    const bool taken = FreePages::release(*_writer);
    transaction.commit();
    if (taken)
        _writer->checkpoint();
}
catch (const Poco::Exception&)
{
    return; // the pages in question are damaged: RecordCheck tells of it
}

/// Makes the last checkpoint. Returns whether the record holds all that its log does; then the log may stay as it is.
bool Database::logIsTakenOver()
try
{
    if (!_writer->checkpoint())
        return false;
    _writer->keepLog();
    return true;
}
catch (const Poco::Exception&)
{
    return false; // the next start does it
}

Database::Reader Database::reader()
{
    {
        const std::lock_guard lock(_mutex);
        if (!_idle.empty())
        {
            auto connection = std::move(_idle.back());
            _idle.pop_back();
            return {*this, std::move(connection)};
        }
    }
    return {*this, std::make_unique<RecordSession>(_file, RecordSession::Mode::ReadOnly)};
}

Database::Reader::~Reader()
{
    const std::lock_guard lock(_database._mutex);
    _database._idle.push_back(std::move(_connection));
}

Snapshot::Snapshot(RecordSession& reader) : _reader(reader)
{
    reader.prepare(beginSnapshot).run();
}

Snapshot::~Snapshot()
{
    try
    {
        _reader.prepare(rollBackTransaction).run();
    }
    catch (const Poco::Exception&)
    {
        // After an error SQLite may have ended it by itself.
    }
}

Transaction::Transaction(RecordSession& connection) : _connection(connection)
{
    connection.prepare(beginTransaction).run();
}

Transaction::~Transaction()
{
    if (!_open)
        return;
    try
    {
        _connection.prepare(rollBackTransaction).run();
    }
    catch (const Poco::Exception&)
    {
        // SQLite has rolled back by itself (full disk, I/O error): there is nothing left to undo.
    }
}

void Transaction::commit()
{
    FAILPOINT("commit");
    _connection.prepare(commitTransaction).run();
    _open = false;
    FAILPOINT("committed");
}

} // namespace agent
