#include "agent/store/RecordCheck.h"
#include "agent/store/ServiceIds.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <fstream>
#include <thread>

namespace agent
{

class RecordCheckTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RecordCheckTest);
    CPPUNIT_TEST(testAWholeRecordIsCheckedOnceAWeek);
    CPPUNIT_TEST(testFindsADamagedPageDeepInside);
    CPPUNIT_TEST(testIsOwedUntilACheckHasEnded);
    CPPUNIT_TEST(testAStoppedCheckTellsNothing);
    CPPUNIT_TEST(testTheWriterGoesOnMeanwhile);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAWholeRecordIsCheckedOnceAWeek()
    {
        constexpr std::int64_t week = std::int64_t{7} * 86'400'000;
        constexpr TimeMs now = 1'800'000'000'000;
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), RecordCheck::delay(std::nullopt, now));
        CPPUNIT_ASSERT_EQUAL(week, RecordCheck::delay(now, now));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), RecordCheck::delay(now - week + 1, now));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), RecordCheck::delay(now - week, now));
        CPPUNIT_ASSERT_EQUAL_MESSAGE("a clock that was set back owes a check", std::int64_t(0),
                                     RecordCheck::delay(now + 1, now));

        fill(100);
        const TimeMs before = nowMs() - 1000; // a file system's clock is a coarse one
        RecordCheck check(_file, false, _log);
        CPPUNIT_ASSERT(!check.result().wholeAt);
        check.start();
        CPPUNIT_ASSERT(waitFor([&] { return check.result().wholeAt.has_value(); }));
        CPPUNIT_ASSERT(*check.result().wholeAt >= before);
        check.stop();
        CPPUNIT_ASSERT_EQUAL(std::string(), _told);
        CPPUNIT_ASSERT(RecordCheck(_file, false, _log).result().wholeAt);
    }

    void testFindsADamagedPageDeepInside()
    {
        fill(20'000); // more than the free pages hold
        damage();
        Database database(_file); // is opened all the same
        RecordCheck check(_file, false, _log);
        check.start();
        CPPUNIT_ASSERT(waitFor([&] { return !check.result().damage.empty(); }));
        check.stop();
        CPPUNIT_ASSERT_MESSAGE(_told, _told.starts_with("the record " + _file.string() +
                                                        " is damaged: " + check.result().damage));
        CPPUNIT_ASSERT(!check.result().wholeAt);
        CPPUNIT_ASSERT_MESSAGE("the next start checks again",
                               !std::filesystem::exists(_files.path() / "record.checked"));
    }

    void testIsOwedUntilACheckHasEnded()
    {
        fill(10);
        _files.write("record.checked", "now");
        CPPUNIT_ASSERT(RecordCheck(_file, false, _log).result().wholeAt);
        CPPUNIT_ASSERT(!RecordCheck(_file, true, _log).result().wholeAt);
        CPPUNIT_ASSERT(!RecordCheck(_file, false, _log).result().wholeAt);
    }

    /// What an interrupted check has not read is no fault.
    void testAStoppedCheckTellsNothing()
    {
        fill(20'000);
        for (int i = 0; i < 20; ++i)
        {
            RecordCheck check(_file, true, _log);
            check.start();
            std::this_thread::sleep_for(std::chrono::milliseconds(i)); // at another place each time
            check.stop();
            CPPUNIT_ASSERT_EQUAL(std::string(), check.result().damage);
            CPPUNIT_ASSERT_EQUAL(std::string(), _told);
        }
    }

    void testTheWriterGoesOnMeanwhile()
    {
        fill(20'000);
        Database database(_file);
        RecordCheck check(_file, true, _log);
        check.start();
        int written = 0;
        const auto writeUntilItIsRead = [&]
        {
            ServiceIds(database.writer()).of("meanwhile " + std::to_string(written++));
            return check.result().wholeAt.has_value();
        };
        CPPUNIT_ASSERT(waitFor(writeUntilItIsRead));
        CPPUNIT_ASSERT_EQUAL(std::string(), _told);
    }

private:
    void fill(int services)
    {
        Database database(_file);
        Transaction transaction(database.writer());
        for (int i = 0; i < services; ++i)
            ServiceIds(database.writer()).of("service " + std::to_string(i));
        transaction.commit();
    }

    void damage() const
    {
        const auto pages = std::filesystem::file_size(_file) / 4096;
        std::fstream file(_file, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>((pages - 20) * 4096));
        file << std::string(16384, '\xa5');
    }

    static bool waitFor(const std::function<bool()>& condition)
    {
        for (int tries = 0; tries < 2000; ++tries)
        {
            if (condition())
                return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return false;
    }

    FilesFolder _files;
    std::filesystem::path _file = _files.path() / "record.db";
    std::string _told; ///< by the check's thread, which stop() joins
    RecordCheck::Log _log = [this](const std::string& line) { _told += line; };
};

CPPUNIT_TEST_SUITE_REGISTRATION(RecordCheckTest);

} // namespace agent
