#pragma once

#include "tests/support/Daemon.h"

#include <cppunit/TestAssert.h>

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <string>

namespace agent::test
{

inline void changeRecord(const std::filesystem::path& state, const char* statements)
{
    sqlite3* record = nullptr;
    CPPUNIT_ASSERT_EQUAL(SQLITE_OK, ::sqlite3_open((state / "record.db").c_str(), &record));
    const int done = ::sqlite3_exec(record, statements, nullptr, nullptr, nullptr);
    ::sqlite3_close(record);
    CPPUNIT_ASSERT_EQUAL(SQLITE_OK, done);
}

/// Lets the record in `state` say that all attempts were launched in another boot of the host, as it does after a
/// power cut. The daemon must have ended.
inline void moveToAnotherBoot(const std::filesystem::path& state)
{
    changeRecord(state, "UPDATE stages SET boot_id = 'another' WHERE boot_id IS NOT NULL;"
                        "UPDATE attempts SET boot_id = 'another' WHERE boot_id IS NOT NULL;");
}

/// Lets the record say that the attempts which run were launched without a seal (wire/Seal.h), so that a test can
/// write their files. The daemon must have ended.
inline void forgetSeals(const std::filesystem::path& state)
{
    changeRecord(state, "UPDATE stages SET seal_key = NULL;");
}

/// Waits until the running daemon has synced all that has ended, and said so in its record: it has nothing to
/// write then by itself.
inline void waitUntilSynced(const std::filesystem::path& state)
{
    sqlite3* record = nullptr;
    const std::string uri = "file:" + (state / "record.db").string() + "?mode=ro";
    CPPUNIT_ASSERT_EQUAL(
        SQLITE_OK,
        ::sqlite3_open_v2(uri.c_str(), &record, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nullptr));
    const std::unique_ptr<sqlite3, decltype(&::sqlite3_close)> closed(record, &::sqlite3_close);
    waitFor("all attempts to be synced",
            [record]
            {
                bool found = false;
                const auto note = [](void* into, int, char**, char**)
                {
                    *static_cast<bool*>(into) = true;
                    return 0;
                };
                const int done = ::sqlite3_exec(record,
                                                "SELECT id FROM stages WHERE synced = 0 UNION ALL "
                                                "SELECT stage_id FROM attempts WHERE synced = 0",
                                                note, &found, nullptr);
                return done == SQLITE_OK && !found;
            });
}

/// The key of the attempt that runs, as the record has it; empty: none runs. The daemon must have ended.
inline std::string sealKeyIn(const std::filesystem::path& state)
{
    sqlite3* record = nullptr;
    sqlite3_stmt* query = nullptr;
    CPPUNIT_ASSERT_EQUAL(SQLITE_OK, ::sqlite3_open((state / "record.db").c_str(), &record));
    CPPUNIT_ASSERT_EQUAL(
        SQLITE_OK,
        ::sqlite3_prepare_v2(record, "SELECT seal_key FROM stages WHERE seal_key IS NOT NULL", -1,
                             &query, nullptr));
    std::string key;
    if (::sqlite3_step(query) == SQLITE_ROW)
        key = reinterpret_cast<const char*>(::sqlite3_column_text(query, 0));
    ::sqlite3_finalize(query);
    ::sqlite3_close(record);
    return key;
}

/// Lets the record say that no attempt's files are known to be on disk, as within a second of its end.
inline void forgetSyncs(const std::filesystem::path& state)
{
    changeRecord(state, "UPDATE stages SET synced = 0 WHERE synced = 1;"
                        "UPDATE attempts SET synced = 0 WHERE synced = 1;");
}

} // namespace agent::test
