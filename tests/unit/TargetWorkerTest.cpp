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
};

CPPUNIT_TEST_SUITE_REGISTRATION(TargetWorkerTest);

} // namespace agent
