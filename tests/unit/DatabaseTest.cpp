#include "agent/store/Database.h"
#include "agent/store/History.h"
#include "agent/store/RunList.h"
#include "agent/store/RunStore.h"
#include "agent/store/Schema.h"
#include "agent/store/Submissions.h"
#include "tests/support/FilesFolder.h"

#include <Poco/Exception.h>

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <random>
#include <stdexcept>
#include <stop_token>
#include <sys/stat.h>
#include <thread>

namespace agent
{

namespace
{

/// What opening `file` says; empty when it can be opened.
std::string problemOf(const std::filesystem::path& file)
{
    try
    {
        const Database database(file);
    }
    catch (const std::runtime_error& error)
    {
        return error.what();
    }
    return "";
}

void assertHolds(const std::string& part, const std::string& whole)
{
    CPPUNIT_ASSERT_MESSAGE("'" + part + "' in: " + whole, whole.find(part) != std::string::npos);
}

std::string contentOf(const std::filesystem::path& file)
{
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

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

void addService(RecordSession& session, const std::string& name)
{
    static const Query query{"INSERT INTO services (name, id) VALUES (?, ?) /* test */"};
    session.prepare(query).bind(name).bind("id of " + name).run();
}

} // namespace

class DatabaseTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(DatabaseTest);
    CPPUNIT_TEST(testMakesAFreshRecordForTheAgentOnly);
    CPPUNIT_TEST(testKeepsWhatWasCommitted);
    CPPUNIT_TEST(testTakesAnyPath);
    CPPUNIT_TEST(testRefusesANewerSchemaAndLeavesItAlone);
    CPPUNIT_TEST(testGoesOnWhereAnUpgradeWasInterrupted);
    CPPUNIT_TEST(testBringsTheFirstSchemaToThisOneWithAllThatIsInIt);
    CPPUNIT_TEST(testBringsTheSecondSchemaToThisOneWithAllThatIsInIt);
    CPPUNIT_TEST(testRefusesADamagedHeader);
    CPPUNIT_TEST(testRefusesADamagedRoot);
    CPPUNIT_TEST(testKnowsWhetherItWasClosed);
    CPPUNIT_TEST(testRefusesWhatIsNoRecord);
    CPPUNIT_TEST(testRefusesAPlaceThatIsNone);
    CPPUNIT_TEST(testAReaderCannotWrite);
    CPPUNIT_TEST(testAReaderSeesCommittedOnly);
    CPPUNIT_TEST(testManyReadersReadAtOnce);
    CPPUNIT_TEST(testATransactionRollsBackUnlessCommitted);
    CPPUNIT_TEST(testATransactionRollsBackWhenAStatementFails);
    CPPUNIT_TEST(testAStatementIsFreshAfterAFailure);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _file = _files.path() / "record.db"; }

    void testMakesAFreshRecordForTheAgentOnly()
    {
        Database database(_file);
        CPPUNIT_ASSERT_EQUAL(static_cast<std::int64_t>(schemaSteps.size()),
                             numberOf(database.writer(), "PRAGMA user_version"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), numberOf(database.writer(), "PRAGMA foreign_keys"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(2), numberOf(database.writer(), "PRAGMA synchronous"));
        struct stat info = {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat(_file.c_str(), &info));
        CPPUNIT_ASSERT_EQUAL(0600U, info.st_mode & 0777U);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), services(database.writer()));
    }

    void testKeepsWhatWasCommitted()
    {
        {
            Database database(_file);
            addService(database.writer(), "shop");
        }
        CPPUNIT_ASSERT_MESSAGE("the last close leaves one file",
                               !std::filesystem::exists(_file.string() + "-wal"));
        Database database(_file);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), services(database.writer()));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), services(*database.reader()));
    }

    /// SQLite is given the path as a URI.
    void testTakesAnyPath()
    {
        for (const char* name : {"a?mode=memory", "b#c", "100%41", "d e", "ä'\"x", "e?f#g%h&i=j"})
        {
            const auto file = _files.path() / name;
            {
                Database database(file);
                addService(database.writer(), name);
                CPPUNIT_ASSERT_EQUAL(std::int64_t(1), services(*database.reader()));
            }
            CPPUNIT_ASSERT_MESSAGE(name, std::filesystem::is_regular_file(file));
        }
    }

    void testRefusesANewerSchemaAndLeavesItAlone()
    {
        const auto newer = std::to_string(schemaSteps.size() + 1);
        {
            Database database(_file);
            addService(database.writer(), "shop");
            database.writer().execute("PRAGMA user_version = " + newer);
        }
        const std::string before = contentOf(_file);
        const std::string said = problemOf(_file);
        assertHolds(_file.string() + " is of schema " + newer + ", this stage-agent knows up to " +
                        std::to_string(schemaSteps.size()),
                    said);
        assertHolds("run the newer version", said);
        CPPUNIT_ASSERT(before == contentOf(_file));
    }

    /// Killed within a step: the step was rolled back, user_version says where to go on.
    void testGoesOnWhereAnUpgradeWasInterrupted()
    {
        {
            Database database(_files.path() / "other.db"); // makes Poco's connector known
            RecordSession session(_file, RecordSession::Mode::Write);
            Transaction cut(session);
            session.execute(schemaSteps[0][0]);
        }
        CPPUNIT_ASSERT_EQUAL(std::string(), problemOf(_file));
    }

    void testBringsTheFirstSchemaToThisOneWithAllThatIsInIt()
    {
        {
            Database database(_files.path() / "other.db"); // makes Poco's connector known
            RecordSession session(_file, RecordSession::Mode::Write);
            for (const char* statement : schemaSteps[0])
                session.execute(statement);
            session.execute("INSERT INTO runs VALUES (7, 'run', 1, 2, 3, NULL, 'c', 'm', 'who', "
                            "'IN_PROGRESS', 'MANUAL', NULL, NULL, 'main', NULL, 0, '{}', 0, 1, 0, "
                            "0, 5)");
            session.execute("INSERT INTO stages VALUES ('stage', 'run', 0, 'BUILD', 'build', "
                            "'shell', 'FAILURE', 2, 1, 2, 3, 4, 'EXIT', 9, NULL, 'said', 'cgroup', "
                            "'LOG_LIMIT', 11, 12, 13, 14, 15, NULL, 0, 0, NULL, NULL, NULL, NULL, "
                            "NULL, NULL, NULL, 6)");
            session.execute("PRAGMA user_version = 1");
        }
        Database database(_file);
        RunStore runs(database.writer());
        CPPUNIT_ASSERT_EQUAL(static_cast<std::int64_t>(schemaSteps.size()),
                             numberOf(database.writer(), "PRAGMA user_version"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(5), runs.run("run").value().version);
        Stage stage = runs.stage("stage").value();
        CPPUNIT_ASSERT_EQUAL(std::string("cgroup"), stage.containment);
        CPPUNIT_ASSERT_EQUAL(std::string(), stage.limitsMissing);
        CPPUNIT_ASSERT_EQUAL(std::string("LOG_LIMIT"), stage.notes);
        CPPUNIT_ASSERT(stage.exitCode == 9 && stage.usage.writeBytes == 15);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(6), stage.version);
        // What is new can be used on what is old.
        runs.keepAttempt(stage);
        stage.limitsMissing = "pids";
        runs.update(stage);
        CPPUNIT_ASSERT_EQUAL(std::string("pids"), runs.stage("stage")->limitsMissing);
        CPPUNIT_ASSERT_EQUAL(std::string(), runs.attempt("stage", 2)->limitsMissing);
    }

    /// As a release with two steps left it: a run that ended, one at work in its second attempt.
    void testBringsTheSecondSchemaToThisOneWithAllThatIsInIt()
    {
        {
            Database database(_files.path() / "other.db"); // makes Poco's connector known
            RecordSession session(_file, RecordSession::Mode::Write);
            for (std::size_t step = 0; step < 2; ++step)
                for (const char* statement : schemaSteps[step])
                    session.execute(statement);
            session.execute("INSERT INTO runs VALUES "
                            "(7, 'done', 1, 2, 3, 4, 'c', 'm', 'who', 'FAILURE', 'MANUAL', 'shop', "
                            "'shop', 'main', NULL, 0, '{}', 0, 0, 0, 0, 5), "
                            "(8, 'open', 1, 2, 3, NULL, NULL, NULL, NULL, 'IN_PROGRESS', 'MANUAL', "
                            "'shop', 'shop', 'main', NULL, 0, '{}', 0, 1, 0, 0, 5)");
            session.execute(
                "INSERT INTO stages VALUES "
                "('ended', 'done', 0, 'BUILD', 'build', 'shell', 'FAILURE', 1, 1, 2, 3, "
                "4, 'EXIT', 9, NULL, 'said', 'cgroup', NULL, 11, 12, 13, 14, 15, NULL, "
                "0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 6, '', 'pids'), "
                "('working', 'open', 0, 'BUILD', 'build', 'shell', 'IN_PROGRESS', 2, 1, "
                "2, 3, NULL, NULL, NULL, NULL, NULL, 'cgroup', NULL, 0, NULL, NULL, "
                "NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, 20, 6, "
                "'no output', NULL)");
            session.execute(
                "INSERT INTO attempts VALUES ('working', 1, 'FAILURE', 3, 4, 'EXIT', 7, "
                "NULL, NULL, 'cgroup', NULL, NULL, 11, 12, 13, 14, 15)");
            session.execute("INSERT INTO history VALUES "
                            "(3, 4, 'done', 'ended', 'agent', 'IN_PROGRESS', 'FAILURE', 'EXIT', "
                            "NULL, 1)");
            session.execute("INSERT INTO idempotency VALUES ('key', 'hash', 'done', 1000)");
            session.execute("PRAGMA user_version = 2");
        }
        Database database(_file);
        RunStore runs(database.writer());
        CPPUNIT_ASSERT_EQUAL(static_cast<std::int64_t>(schemaSteps.size()),
                             numberOf(database.writer(), "PRAGMA user_version"));
        const auto failed =
            RunList(database.writer()).runs({.serviceId = "shop", .statuses = {Status::Failure}});
        CPPUNIT_ASSERT(failed.size() == 1 && failed[0].id == "done" && failed[0].seq == 7);
        CPPUNIT_ASSERT_EQUAL(std::string("open"), runs.openRuns().at(0).id);
        for (const auto& stage : {runs.stage("ended").value(), runs.stage("working").value(),
                                  runs.attempt("working", 1).value()})
        {
            CPPUNIT_ASSERT_EQUAL(std::string(), stage.bootId);
            CPPUNIT_ASSERT(stage.synced == Sync::None);
        }
        CPPUNIT_ASSERT(runs.attempt("working", 1)->exitCode == 7);
        CPPUNIT_ASSERT_EQUAL(std::string("pids"), runs.stage("ended")->limitsMissing);
        CPPUNIT_ASSERT_EQUAL(std::string("working"), runs.stuckStages().at(0).id);
        CPPUNIT_ASSERT_EQUAL(std::string("hash"),
                             Submissions(database.writer()).find("key", 0)->bodyHash);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(3),
                             History(database.writer()).ofStage("ended").at(0).seq);
    }

    void testRefusesADamagedHeader()
    {
        {
            Database database(_file);
            addService(database.writer(), "shop");
        }
        std::mt19937 random(1);
        std::uniform_int_distribution<int> byte(0, 255);
        std::fstream file(_file, std::ios::in | std::ios::out | std::ios::binary);
        for (int i = 0; i < 100; ++i)
            file.put(static_cast<char>(byte(random)));
        file.close();
        const std::string before = contentOf(_file);

        const std::string said = problemOf(_file);
        assertHolds("the record " + _file.string() + " can't be used: ", said);
        assertHolds("Restore it from a backup, or move it away", said);
        CPPUNIT_ASSERT_MESSAGE("what is left stays as it is", before == contentOf(_file));
    }

    /// The header is right, the root page of a table is not.
    void testRefusesADamagedRoot()
    {
        for (const std::string table : {"runs", "stages", "history", "idempotency"})
        {
            std::filesystem::remove(_file);
            std::int64_t page = 0;
            {
                Database database(_file);
                const auto query =
                    "SELECT rootpage FROM sqlite_schema WHERE name = '" + table + "'";
                page = numberOf(database.writer(), query.c_str());
            }
            std::fstream file(_file, std::ios::in | std::ios::out | std::ios::binary);
            file.seekp(static_cast<std::streamoff>((page - 1) * 4096));
            file << std::string(4096, '\xa5');
            file.close();
            const std::string said = problemOf(_file);
            assertHolds("the record " + _file.string() + " can't be used: ", said);
            assertHolds("Restore it from a backup", said);
        }
    }

    void testKnowsWhetherItWasClosed()
    {
        const auto copy = _files.path() / "copy.db";
        {
            Database database(_file);
            CPPUNIT_ASSERT(!database.endedUncleanly());
            addService(database.writer(), "shop");
            std::filesystem::copy_file(_file, copy); // as a killed daemon leaves it
            std::filesystem::copy_file(_file.string() + "-wal", copy.string() + "-wal");
        }
        CPPUNIT_ASSERT(!Database(_file).endedUncleanly());
        CPPUNIT_ASSERT(Database(copy).endedUncleanly());
        CPPUNIT_ASSERT(!Database(copy).endedUncleanly());
    }

    void testRefusesWhatIsNoRecord()
    {
        _files.write("record.db", std::string(5000, 'x'));
        assertHolds("the record " + _file.string() + " can't be used: file is not a database. ",
                    problemOf(_file));
        CPPUNIT_ASSERT(contentOf(_file) == std::string(5000, 'x'));
    }

    void testRefusesAPlaceThatIsNone()
    {
        const auto nowhere = _files.path() / "no folder" / "record.db";
        assertHolds("the record " + nowhere.string() + " can't be used: ", problemOf(nowhere));
    }

    void testAReaderCannotWrite()
    {
        Database database(_file);
        auto reader = database.reader();
        CPPUNIT_ASSERT_THROW(addService(*reader, "shop"), Poco::Exception);
        CPPUNIT_ASSERT_THROW((*reader).execute("DELETE FROM services"), Poco::Exception);
        (*reader).execute("PRAGMA query_only = OFF"); // the file is opened read-only as well
        CPPUNIT_ASSERT_THROW(addService(*reader, "shop"), Poco::Exception);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), services(database.writer()));
    }

    void testAReaderSeesCommittedOnly()
    {
        Database database(_file);
        auto reader = database.reader();
        Transaction transaction(database.writer());
        addService(database.writer(), "shop");
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), services(database.writer()));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), services(*reader));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), services(*database.reader()));
        transaction.commit();
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), services(*reader));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), services(*database.reader()));
    }

    void testManyReadersReadAtOnce()
    {
        Database database(_file);
        database.writer().execute("PRAGMA synchronous = OFF"); // no power is cut here
        constexpr std::int64_t most = 300;
        std::atomic<int> right = 0;
        const auto read = [&](const std::stop_token& stop)
        {
            std::int64_t seen = 0;
            while (seen < most && !stop.stop_requested())
            {
                auto reader = database.reader();
                const std::int64_t now = services(*reader);
                if (now < seen || now % 2 != 0)
                    return; // time went back, or half a transaction was seen
                seen = now;
            }
            if (seen == most)
                ++right;
        };
        const auto readUntilItFails = [&](const std::stop_token& stop)
        {
            try
            {
                read(stop);
            }
            catch (const std::exception&)
            {
                return; // does not count as right
            }
        };
        std::vector<std::jthread> readers;
        readers.reserve(4);
        for (int i = 0; i < 4; ++i)
            readers.emplace_back(readUntilItFails);
        for (int i = 0; i < most; i += 2)
        {
            Transaction transaction(database.writer());
            addService(database.writer(), std::to_string(i));
            addService(database.writer(), std::to_string(i + 1));
            transaction.commit();
        }
        for (int tries = 0; right < 4 && tries < 1000; ++tries)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        CPPUNIT_ASSERT_EQUAL(4, right.load());
    }

    void testATransactionRollsBackUnlessCommitted()
    {
        Database database(_file);
        {
            Transaction transaction(database.writer());
            addService(database.writer(), "shop");
        }
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), services(database.writer()));
        {
            Transaction transaction(database.writer());
            addService(database.writer(), "blog");
            transaction.commit();
        }
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), services(database.writer()));
    }

    void testATransactionRollsBackWhenAStatementFails()
    {
        Database database(_file);
        const auto addTwice = [&]
        {
            Transaction transaction(database.writer());
            addService(database.writer(), "shop");
            addService(database.writer(), "shop");
            transaction.commit();
        };
        CPPUNIT_ASSERT_THROW(addTwice(), Poco::Exception);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), services(database.writer()));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), services(*database.reader()));
    }

    /// The next use of a kept statement must not repeat the error of the one before.
    void testAStatementIsFreshAfterAFailure()
    {
        Database database(_file);
        addService(database.writer(), "shop");
        CPPUNIT_ASSERT_THROW(addService(database.writer(), "shop"), Poco::Exception);
        addService(database.writer(), "blog");
        CPPUNIT_ASSERT_EQUAL(std::int64_t(2), services(database.writer()));
    }

private:
    FilesFolder _files;
    std::filesystem::path _file;
};

CPPUNIT_TEST_SUITE_REGISTRATION(DatabaseTest);

} // namespace agent
