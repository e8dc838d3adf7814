#include "agent/outbox/TargetWorker.h"
#include "agent/store/OutboxStore.h"
#include "tests/support/FilesFolder.h"
#include "tests/support/Receiver.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <chrono>
#include <string>
#include <thread>

namespace agent
{

class TargetWorkerTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(TargetWorkerTest);
    CPPUNIT_TEST(testALongBacklogIsSentToItsEnd);
    CPPUNIT_TEST(testOfTooManyReportsTheOldestAreDropped);
    CPPUNIT_TEST_SUITE_END();

public:
    /// Symptom: of more than 15,001 reports the rest stayed until the next change. Cause: a look for fewer than 500, as
    /// many as there was room for, found no more than it asked for, and that was taken for the end.
    void testALongBacklogIsSentToItsEnd()
    {
        constexpr int reports = 15'100;
        const FilesFolder files;
        Database database(files.path() / "record.db");
        {
            Transaction transaction(database.writer());
            OutboxStore store(database.writer());
            for (int i = 0; i < reports; ++i)
            {
                const std::string name = std::to_string(i);
                store.append({.id = name,
                              .target = "all",
                              .runId = name,
                              .number = 1,
                              .event = "run.changed",
                              .at = 1,
                              .body = "{}"});
            }
            transaction.commit();
        }
        const test::Receiver receiver;
        OutboxParts parts{.database = database,
                          .caFile = {},
                          .remove = [](const auto&) {},
                          .removeAll = [](const auto&) {},
                          .update = [](auto, const auto&) {},
                          .logFolder = {},
                          .log = [](const auto&) {}};
        TargetSpec target;
        target.name = "all";
        target.url = receiver.url();
        TargetWorker worker(target, parts, [] {});
        worker.start();
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (worker.status().sent < reports && std::chrono::steady_clock::now() < until)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        worker.stop();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{reports}, worker.status().sent);
    }

    /// outbox.max: what came last is what a target needs most.
    void testOfTooManyReportsTheOldestAreDropped()
    {
        const FilesFolder files;
        Database database(files.path() / "record.db");
        {
            Transaction transaction(database.writer());
            OutboxStore store(database.writer());
            for (const char* target : {"all", "other"})
                for (int i = 0; i < 1'200; ++i)
                    store.append({.id = target + std::to_string(i),
                                  .target = target,
                                  .runId = "run",
                                  .number = i + 1,
                                  .event = "run.changed",
                                  .at = 1,
                                  .body = "{}"});
            transaction.commit();
        }
        const test::Receiver receiver([](const test::Received&) { return 503; });
        std::string told;
        OutboxParts parts{.database = database,
                          .caFile = {},
                          .most = 100,
                          .remove =
                              [&](const std::vector<std::int64_t>& seqs)
                          {
                              Transaction transaction(database.writer());
                              OutboxStore store(database.writer());
                              for (const auto seq : seqs)
                                  store.remove(seq);
                              transaction.commit();
                          },
                          .removeAll = [](const auto&) {},
                          .update = [](auto, const auto&) {},
                          .logFolder = {},
                          .log = [&](const std::string& line) { told += line + "\n"; }};
        TargetSpec target;
        target.name = "all";
        target.url = receiver.url();
        TargetWorker worker(target, parts, [] {});
        worker.start();
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (receiver.all().empty() && std::chrono::steady_clock::now() < until)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        worker.stop();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1'100}, worker.status().dropped);
        CPPUNIT_ASSERT_EQUAL(std::string("all1100"),
                             receiver.all().front().headers.at("webhook-id"));
        OutboxStore store(database.writer());
        CPPUNIT_ASSERT_EQUAL(std::int64_t(100), store.count("all", 2'000));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1'200), store.count("other", 2'000));
        CPPUNIT_ASSERT_MESSAGE(told, told.find("more than outbox.max") != std::string::npos);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TargetWorkerTest);

} // namespace agent
