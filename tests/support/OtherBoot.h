#pragma once

#include <cppunit/TestAssert.h>

#include <sqlite3.h>

#include <filesystem>

namespace agent::test
{

/// Lets the record in `state` say that all attempts were launched in another boot of the host, as it does after a
/// power cut. The daemon must have ended.
inline void moveToAnotherBoot(const std::filesystem::path& state)
{
    sqlite3* record = nullptr;
    CPPUNIT_ASSERT_EQUAL(SQLITE_OK, ::sqlite3_open((state / "record.db").c_str(), &record));
    const int done =
        ::sqlite3_exec(record,
                       "UPDATE stages SET boot_id = 'another' WHERE boot_id IS NOT NULL;"
                       "UPDATE attempts SET boot_id = 'another' WHERE boot_id IS NOT NULL;",
                       nullptr, nullptr, nullptr);
    ::sqlite3_close(record);
    CPPUNIT_ASSERT_EQUAL(SQLITE_OK, done);
}

} // namespace agent::test
