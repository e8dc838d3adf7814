#pragma once

#include "agent/store/Query.h"
#include "agent/store/RecordReserve.h"
#include "agent/store/Statement.h"

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace Poco::Data
{
class Session;
}

namespace agent
{

/// One session on the record, with its kept statements.
/// Threads: one at a time.
class RecordSession
{
public:
    enum class Mode
    {
        Write,
        ReadOnly,
        Beside, ///< as ReadOnly, from another process than the writer's: no file is made or changed
        Settled ///< as Beside, and nobody writes: for a file that has no write-ahead log
    };

    RecordSession(const std::filesystem::path& file, Mode mode);
    RecordSession(const RecordSession&) = delete;
    RecordSession& operator=(const RecordSession&) = delete;
    ~RecordSession();

    /// The statement of `query`, prepared at its first use, kept, and ready for values.
    Statement& prepare(const Query& query);

    /// Returns a statement for one use.
    [[nodiscard]] Statement prepareOnce(const std::string& sql) const;

    /// Brings what the write-ahead log holds into the record, as far as readers let it. Returns whether that is all.
    bool checkpoint();

    /// Lets the write-ahead log and its index stay as they are when this session, the last one, is closed.
    void keepLog();

    /// Ends the statement that runs now with an error. Threads: any, while the session is there.
    void interrupt();

    /// Runs statements without values or rows.
    void execute(const std::string& sql);

    [[nodiscard]] Poco::Data::Session& session() { return *_session; }

private:
    std::unique_ptr<Poco::Data::Session> _session;
    sqlite3* _handle = nullptr;
    std::vector<std::unique_ptr<Statement>> _statements; ///< by the query's number
};

/// The record's file: `<state>/record.db`.
///
/// Debian's SQLite 3.40 can corrupt a WAL database when two connections write or checkpoint at once. So
/// there is one writer, the engine's; readers are opened read-only and never checkpoint; the state
/// folder's lock keeps other processes out.
class Database
{
public:
    /// Opens the record, makes it or brings it to this build's schema. Reads its first pages only:
    /// RecordCheck reads the others.
    /// Errors: std::runtime_error: not readable, its first pages damaged, or of a newer schema, each by name.
    explicit Database(const std::filesystem::path& file);
    ~Database();

    /// Whether the last daemon left a write-ahead log: it did not close the record.
    [[nodiscard]] bool endedUncleanly() const { return _endedUncleanly; }

    /// The engine's connection. Threads: the engine's, or the starting thread before it runs.
    [[nodiscard]] RecordSession& writer() { return *_writer; }

    /// A read-only connection for the length of a request; goes back to the pool with its holder.
    class Reader
    {
    public:
        Reader(Database& database, std::unique_ptr<RecordSession> connection)
            : _database(database), _connection(std::move(connection))
        {
        }
        Reader(const Reader&) = delete;
        Reader& operator=(const Reader&) = delete;
        ~Reader();
        [[nodiscard]] RecordSession& operator*() { return *_connection; }

    private:
        Database& _database;
        std::unique_ptr<RecordSession> _connection;
    };

    /// Threads: any.
    [[nodiscard]] Reader reader();

private:
    void open();
    void takeFreePages();
    [[nodiscard]] bool logIsTakenOver();

    std::filesystem::path _file;
    RecordReserve _reserve;
    bool _endedUncleanly = false;
    std::unique_ptr<RecordSession> _writer;
    std::mutex _mutex;
    std::vector<std::unique_ptr<RecordSession>> _idle; // guarded by _mutex
};

/// What a reader reads while it exists is of one state of the record, and the record's file is locked once for it,
/// not once a statement.
class Snapshot
{
public:
    explicit Snapshot(RecordSession& reader);
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;
    ~Snapshot();

private:
    RecordSession& _reader;
};

/// BEGIN IMMEDIATE … COMMIT on the writer; rolls back unless committed. Poco's own begin() is DEFERRED,
/// which fails at once in WAL when a read comes before the write.
class Transaction
{
public:
    explicit Transaction(RecordSession& connection);
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();
    void commit();

private:
    RecordSession& _connection;
    bool _open = true;
};

} // namespace agent
