#include "agent/store/Statement.h"

#include <Poco/Data/SQLite/SQLiteException.h>
#include <Poco/Data/SQLite/Utility.h>

#include <sqlite3.h>

namespace agent
{

namespace
{

void check(sqlite3* db, int code)
{
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
        Poco::Data::SQLite::Utility::throwException(db, code & 0xff, "");
}

} // namespace

Statement::Statement(sqlite3* db, const char* sql) : _db(db)
{
    check(db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &_statement, nullptr));
}

Statement::~Statement()
{
    sqlite3_finalize(_statement);
}

Statement& Statement::reset()
{
    sqlite3_reset(_statement); // says again what step() has said
    _parameter = 0;
    _column = 0;
    return *this;
}

Statement& Statement::bind(std::int64_t value)
{
    check(_db, sqlite3_bind_int64(_statement, ++_parameter, value));
    return *this;
}

Statement& Statement::bind(std::string_view text)
{
    check(_db, sqlite3_bind_text(_statement, ++_parameter, text.data(),
                                 static_cast<int>(text.size()), SQLITE_TRANSIENT));
    return *this;
}

Statement& Statement::bindNull()
{
    check(_db, sqlite3_bind_null(_statement, ++_parameter));
    return *this;
}

bool Statement::step()
{
    _column = 0;
    const int code = sqlite3_step(_statement);
    check(_db, code);
    return code == SQLITE_ROW;
}

int Statement::run()
{
    while (step())
    {
    }
    const int changed = sqlite3_changes(_db);
    reset();
    return changed;
}

std::int64_t Statement::integer()
{
    return sqlite3_column_int64(_statement, _column++);
}

std::optional<std::int64_t> Statement::maybeInteger()
{
    const int column = _column++;
    if (sqlite3_column_type(_statement, column) == SQLITE_NULL)
        return std::nullopt;
    return sqlite3_column_int64(_statement, column);
}

std::string Statement::text()
{
    const int column = _column++;
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(_statement, column));
    const int size = sqlite3_column_bytes(_statement, column);
    return bytes ? std::string(bytes, static_cast<std::size_t>(size)) : std::string();
}

} // namespace agent
