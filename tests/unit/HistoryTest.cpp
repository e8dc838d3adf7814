#include "agent/store/History.h"
#include "agent/store/RunStore.h"
#include "tests/support/FilesFolder.h"
#include "tests/support/Records.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

class HistoryTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(HistoryTest);
    CPPUNIT_TEST(testKeepsItsOrder);
    CPPUNIT_TEST(testKeepsEveryField);
    CPPUNIT_TEST(testGoesOnBehindAnEntry);
    CPPUNIT_TEST(testOutlivesItsRun);
    CPPUNIT_TEST(testCountsWhatClientsWrote);
    CPPUNIT_TEST_SUITE_END();

public:
    void testKeepsItsOrder()
    {
        // The times run backwards, as over a clock that was set back.
        for (int i = 0; i < 5; ++i)
            _history.append({.at = 100 - i,
                             .runId = "run",
                             .stageId = i % 2 == 0 ? "stage" : "",
                             .actor = "agent",
                             .reason = std::to_string(i)});
        _history.append({.runId = "other run", .stageId = "other stage", .actor = "agent"});
        const auto reasons = [](const std::vector<HistoryEntry>& entries)
        {
            std::string all;
            for (const auto& entry : entries)
                all += entry.reason + ' ';
            return all;
        };
        CPPUNIT_ASSERT_EQUAL(std::string("0 1 2 3 4 "), reasons(_history.ofRun("run")));
        CPPUNIT_ASSERT_EQUAL(std::string("0 2 4 "), reasons(_history.ofStage("stage")));
        CPPUNIT_ASSERT(_history.ofStage("").empty());
    }

    void testKeepsEveryField()
    {
        _history.append({.at = 1,
                         .runId = "run",
                         .stageId = "stage",
                         .actor = awkward,
                         .from = "IDLE",
                         .to = "FAILURE",
                         .cause = Cause::ShimLost,
                         .reason = "reason " + awkward,
                         .attempt = 2});
        _history.append({.runId = "run", .stageId = "stage"});
        const auto entries = _history.ofStage("stage");
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), entries.size());
        const auto& full = entries[0];
        CPPUNIT_ASSERT_EQUAL(TimeMs(1), full.at);
        CPPUNIT_ASSERT_EQUAL(std::string("run"), full.runId);
        CPPUNIT_ASSERT_EQUAL(std::string("stage"), full.stageId);
        CPPUNIT_ASSERT_EQUAL(awkward, full.actor);
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), full.from);
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), full.to);
        CPPUNIT_ASSERT(full.cause == Cause::ShimLost);
        CPPUNIT_ASSERT_EQUAL("reason " + awkward, full.reason);
        CPPUNIT_ASSERT_EQUAL(2, full.attempt);
        CPPUNIT_ASSERT(!entries[1].cause);
        CPPUNIT_ASSERT(entries[1].from.empty() && entries[1].to.empty());
        CPPUNIT_ASSERT(entries[1].reason.empty());
    }

    /// What the agent says itself, and changes without a text, are no remarks.
    void testCountsWhatClientsWrote()
    {
        const auto add = [&](const std::string& stage, const std::string& actor,
                             const std::string& to, const std::string& reason)
        {
            _history.append({.runId = "run",
                             .stageId = stage,
                             .actor = actor,
                             .from = "IDLE",
                             .to = to,
                             .reason = reason});
        };
        add("stage", "agent", "IDLE", "stuck: no output");
        add("stage", "ada", "IDLE", "");
        add("stage", "ada", "IDLE", "a remark");
        add("stage", "ada", "SUCCESS", "skipped");
        add("other", "ada", "IDLE", "of another");
        CPPUNIT_ASSERT(_history.hasRemarks("stage", 2));
        CPPUNIT_ASSERT(!_history.hasRemarks("stage", 3));
        add("", "ada", "SUCCESS", "an end");
        CPPUNIT_ASSERT(!_history.hasCorrections("run", 1));
        add("", "ada", "IDLE", "corrected");
        CPPUNIT_ASSERT(_history.hasCorrections("run", 1));
        CPPUNIT_ASSERT(!_history.hasCorrections("run", 2));
        CPPUNIT_ASSERT(!_history.hasCorrections("other run", 1));
    }

    void testGoesOnBehindAnEntry()
    {
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), _history.lastSeq());
        CPPUNIT_ASSERT(_history.after(0, 10).empty());
        for (int i = 0; i < 5; ++i)
            _history.append({.runId = "run " + std::to_string(i), .actor = "agent"});
        const auto first = _history.after(0, 2);
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), first.size());
        CPPUNIT_ASSERT_EQUAL(std::string("run 0"), first[0].runId);
        CPPUNIT_ASSERT(first[0].seq > 0 && first[1].seq > first[0].seq);
        const auto rest = _history.after(first[1].seq, 10);
        CPPUNIT_ASSERT_EQUAL(std::size_t(3), rest.size());
        CPPUNIT_ASSERT_EQUAL(std::string("run 2"), rest[0].runId);
        CPPUNIT_ASSERT_EQUAL(rest[2].seq, _history.lastSeq());
        CPPUNIT_ASSERT_EQUAL(rest[2].seq, _history.ofRun("run 4")[0].seq);
        CPPUNIT_ASSERT(_history.after(rest[2].seq, 10).empty());
    }

    void testOutlivesItsRun()
    {
        RunStore runs(_database.writer());
        Run run{.id = newId()};
        runs.insert(run);
        _history.append({.at = 1, .runId = run.id, .actor = "agent"});
        runs.removeRun(run.id);
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), _history.ofRun(run.id).size());
    }

private:
    FilesFolder _files;
    Database _database{_files.path() / "record.db"};
    History _history{_database.writer()};
};

CPPUNIT_TEST_SUITE_REGISTRATION(HistoryTest);

} // namespace agent
