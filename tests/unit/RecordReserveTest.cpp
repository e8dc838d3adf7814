// The record on a disk that is full: docs/durability.md.
#include "agent/store/Database.h"
#include "tests/support/SmallDisk.h"

#include <Poco/Data/SQLite/SQLiteException.h>

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace agent
{

namespace
{

namespace fs = std::filesystem;

std::int64_t numberOf(RecordSession& session, const char* query)
{
    Statement statement = session.prepareOnce(query);
    CPPUNIT_ASSERT(statement.step());
    return statement.integer();
}

std::int64_t services(RecordSession& session)
{
    return numberOf(session, "SELECT count(*) FROM services");
}

/// As many transactions, each of which makes a row or changes one.
void write(Database& database, int transactions)
{
    static const Query insert{"INSERT INTO services (name, id) VALUES (?, ?) /* reserve test */"};
    static const Query change{"UPDATE services SET id = ? WHERE name = ? /* reserve test */"};
    const auto rows = services(database.writer());
    for (int i = 0; i < transactions; ++i)
    {
        const std::string name = "service " + std::to_string(rows + i / 2);
        Transaction transaction(database.writer());
        if (i % 2 == 0)
            database.writer().prepare(insert).bind(name).bind("id of " + name).run();
        else
            database.writer().prepare(change).bind("other id of " + name).bind(name).run();
        transaction.commit();
    }
}

} // namespace

class RecordReserveTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RecordReserveTest);
    CPPUNIT_TEST(testIsWrittenOnAFullDisk);
    CPPUNIT_TEST(testOpensWhereTheLogHasNoRoom);
    CPPUNIT_TEST(testOpensOnAFullDiskAfterAClose);
    CPPUNIT_TEST(testOpensOnAFullDiskAfterACrash);
    CPPUNIT_TEST(testGoesOnWhenAReaderThatUsedItUpIsGone);
    CPPUNIT_TEST(testARestoredRecordIsNotChangedByWhatWasKept);
    CPPUNIT_TEST(testAReaderOfAnotherProcessIsNotDisturbed);
    CPPUNIT_TEST_SUITE_END();

public:
    /// Ten times as much as the log holds.
    void testIsWrittenOnAFullDisk()
    {
        if (!mount())
            return;
        Database database(_file);
        fill();
        write(database, 6000);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{3000}, services(database.writer()));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{3000}, services(*database.reader()));
        CPPUNIT_ASSERT_EQUAL(std::uintmax_t{0}, fs::space(_disk->path()).available);
    }

    /// Symptom: a start with 3 MiB left ended with exit 70. Cause: the log's zeros took all of it, and the index had none.
    /// Bound: the log is made longer only where 2 MiB stay.
    void testOpensWhereTheLogHasNoRoom()
    {
        if (!mount("4M"))
            return;
        for (int start = 1; start <= 3; ++start)
        {
            Database database(_file);
            write(database, 40);
            CPPUNIT_ASSERT_EQUAL(std::int64_t{20 * start}, services(*database.reader()));
            CPPUNIT_ASSERT(fs::space(_disk->path()).available > 0);
        }
    }

    void testOpensOnAFullDiskAfterAClose()
    {
        if (!mount())
            return;
        {
            Database database(_file);
            write(database, 100);
        }
        for (int start = 1; start <= 3; ++start)
        {
            fill();
            Database database(_file);
            CPPUNIT_ASSERT(!database.endedUncleanly());
            CPPUNIT_ASSERT_EQUAL(std::int64_t{50 + 100 * (start - 1)},
                                 services(*database.reader()));
            write(database, 200);
        }
        CPPUNIT_ASSERT(!fs::exists(_file.string() + "-wal"));
        CPPUNIT_ASSERT(!fs::exists(_file.string() + "-shm"));
    }

    void testOpensOnAFullDiskAfterACrash()
    {
        if (!mount())
            return;
        for (int start = 1; start <= 3; ++start)
        {
            inAProcessThatDies([this] { write(*new Database(_file), 100); });
            fill();
        }
        Database database(_file);
        CPPUNIT_ASSERT(database.endedUncleanly());
        CPPUNIT_ASSERT_EQUAL(std::int64_t{150}, services(*database.reader()));
        write(database, 200);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{250}, services(*database.reader()));
        CPPUNIT_ASSERT_EQUAL(std::string("ok"), checked(database));
    }

    void testGoesOnWhenAReaderThatUsedItUpIsGone()
    {
        if (!mount())
            return;
        Database database(_file);
        write(database, 10);
        fill();
        bool full = false;
        {
            auto reader = database.reader();
            (*reader).execute("BEGIN");
            (void)services(*reader); // from here on the log can't be written over
            try
            {
                write(database, 100'000);
            }
            catch (const Poco::Data::SQLite::DatabaseFullException&)
            {
                full = true;
            }
            (*reader).execute("COMMIT");
        }
        CPPUNIT_ASSERT(full);
        CPPUNIT_ASSERT(database.writer().checkpoint()); // as the engine does when it can't commit
        const auto before = services(database.writer());
        write(database, 3000);
        CPPUNIT_ASSERT_EQUAL(before + 1500, services(*database.reader()));
        CPPUNIT_ASSERT_EQUAL(std::string("ok"), checked(database));
    }

    void testARestoredRecordIsNotChangedByWhatWasKept()
    {
        const FilesFolder files;
        _file = files.path() / "record.db";
        const auto backup = files.path() / "backup.db";
        {
            Database database(_file);
            write(database, 20);
        }
        fs::copy_file(_file, backup);
        {
            Database database(_file);
            write(database, 2000);
        }
        fs::copy_file(backup, _file, fs::copy_options::overwrite_existing);
        Database database(_file);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{10}, services(database.writer()));
        CPPUNIT_ASSERT_EQUAL(std::string("ok"), checked(database));
    }

    /// `stage-agent --doctor` reads beside the daemon, and may do so while that is restarted.
    void testAReaderOfAnotherProcessIsNotDisturbed()
    {
        const FilesFolder files;
        _file = files.path() / "record.db";
        int toChild[2];
        int toUs[2];
        CPPUNIT_ASSERT(::pipe(toChild) == 0 && ::pipe(toUs) == 0);
        inAProcessThatDies([this] { write(*new Database(_file), 100); });
        const pid_t child = ::fork(); // before this process has the record open
        if (child == 0)
        {
            char byte = 0;
            static_cast<void>(::read(toChild[0], &byte, 1) == 1);
            RecordSession reader(_file, RecordSession::Mode::Beside);
            reader.execute("BEGIN");
            const bool before = services(reader) == 50;
            static_cast<void>(::write(toUs[1], "r", 1) == 1);
            static_cast<void>(::read(toChild[0], &byte, 1) == 1);
            ::_exit(before && services(reader) == 50 ? 0 : 1);
        }
        auto first = std::make_unique<Database>(_file); // its index is in use from here on
        char byte = 0;
        CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::write(toChild[1], "o", 1));
        CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::read(toUs[0], &byte, 1));
        first.reset();
        Database second(_file);
        write(second, 3000);
        CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::write(toChild[1], "g", 1));
        int status = 0;
        CPPUNIT_ASSERT_EQUAL(child, ::waitpid(child, &status, 0));
        CPPUNIT_ASSERT_EQUAL(0, status);
        for (const int end : {toChild[0], toChild[1], toUs[0], toUs[1]})
            ::close(end);
        CPPUNIT_ASSERT_EQUAL(std::string("ok"), checked(second));
    }

private:
    bool mount(const std::string& size = "32M")
    {
        _disk = std::make_unique<SmallDisk>(size);
        _file = _disk->path() / "record.db";
        return _disk->mounted();
    }

    void fill() const
    {
        _disk->fill();
        CPPUNIT_ASSERT_EQUAL(std::uintmax_t{0}, fs::space(_disk->path()).available);
    }

    static void inAProcessThatDies(const std::function<void()>& work)
    {
        const pid_t child = ::fork();
        if (child == 0)
        {
            try
            {
                work();
            }
            catch (...)
            {
                ::_exit(1);
            }
            ::_exit(0);
        }
        int status = 0;
        CPPUNIT_ASSERT_EQUAL(child, ::waitpid(child, &status, 0));
        CPPUNIT_ASSERT_EQUAL(0, status);
    }

    static std::string checked(Database& database)
    {
        Statement check = database.writer().prepareOnce("PRAGMA integrity_check");
        CPPUNIT_ASSERT(check.step());
        return check.text();
    }

    std::unique_ptr<SmallDisk> _disk;
    fs::path _file;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RecordReserveTest);

} // namespace agent
