#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace agent
{

/// A prepared statement on a session's handle. Poco 1.11 prepares at each execute, which costs three times the
/// query itself; the record's statements are prepared once.
/// Errors: every method throws Poco::Data::DataException (or its DatabaseFull, Locked … kind).
/// Threads: those of its connection, one at a time.
class Statement
{
public:
    Statement(sqlite3* db, const char* sql);
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement();

    /// Makes it ready for new values.
    Statement& reset();

    /// Binds the next parameter. Text is copied.
    Statement& bind(std::int64_t value);
    Statement& bind(int value) { return bind(static_cast<std::int64_t>(value)); }
    Statement& bind(bool value) { return bind(static_cast<std::int64_t>(value)); }
    Statement& bind(std::string_view text);
    Statement& bind(const std::string& text) { return bind(std::string_view(text)); }
    Statement& bind(const char* text) { return bind(std::string_view(text)); }
    template <typename T> Statement& bind(const std::optional<T>& value)
    {
        return value ? bind(*value) : bindNull();
    }

    /// Binds NULL for an empty text.
    Statement& bindText(const std::string& text)
    {
        return text.empty() ? bindNull() : bind(std::string_view(text));
    }
    Statement& bindNull();

    /// Goes to the next row. Returns false when there is none.
    bool step();

    /// Runs to the end. Returns how many rows were changed.
    int run();

    /// The next column of the row, from left to right.
    std::int64_t integer();
    std::optional<std::int64_t> maybeInteger();
    std::string text(); ///< NULL is empty

private:
    sqlite3* _db;
    sqlite3_stmt* _statement = nullptr;
    int _parameter = 0;
    int _column = 0;
};

} // namespace agent
