#include "agent/store/RunStore.h"
#include "agent/model/Id.h"
#include "agent/store/RunList.h"
#include "agent/store/ServiceIds.h"
#include "agent/store/Submissions.h"
#include "tests/support/FilesFolder.h"
#include "tests/support/Records.h"

#include <Poco/Exception.h>

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

class RunStoreTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RunStoreTest);
    CPPUNIT_TEST(testKeepsEveryFieldOfARun);
    CPPUNIT_TEST(testKeepsARunThatSaysNothing);
    CPPUNIT_TEST(testKeepsEveryWordOfARun);
    CPPUNIT_TEST(testKeepsEveryFieldOfAStage);
    CPPUNIT_TEST(testKeepsAStageThatSaysNothing);
    CPPUNIT_TEST(testKeepsEveryWordOfAStage);
    CPPUNIT_TEST(testUpdatesEveryFieldOfARun);
    CPPUNIT_TEST(testAnUpdateOfTheSameStatusWritesAllButWhatHasStayed);
    CPPUNIT_TEST(testUpdatesEveryFieldOfAStage);
    CPPUNIT_TEST(testAnUpdateTouchesNoOther);
    CPPUNIT_TEST(testEveryUpdateIsLaterThanTheOneBefore);
    CPPUNIT_TEST(testAClockSetBackMakesNothingOlder);
    CPPUNIT_TEST(testAnUnknownIdIsNothing);
    CPPUNIT_TEST(testListsRunsNewestFirst);
    CPPUNIT_TEST(testListsRunsByServiceAndStatus);
    CPPUNIT_TEST(testPagesWithLimitAndBefore);
    CPPUNIT_TEST(testTheOpenRunsAreThoseThatHaveNotEnded);
    CPPUNIT_TEST(testStagesComeInTheOrderOfExecution);
    CPPUNIT_TEST(testAStageNeedsItsRunAndItsOwnPlace);
    CPPUNIT_TEST(testASequenceNumberIsNeverUsedAgain);
    CPPUNIT_TEST(testRemovingARunTakesItsStages);
    CPPUNIT_TEST(testRemovingAStageLeavesTheOthers);
    CPPUNIT_TEST(testAServiceKeepsItsId);
    CPPUNIT_TEST(testRemembersWhatWasSubmitted);
    CPPUNIT_TEST(testAnOldSubmissionDoesNotCount);
    CPPUNIT_TEST(testForgetsSubmissionsAfterADay);
    CPPUNIT_TEST(testAReaderLooksUpSubmissions);
    CPPUNIT_TEST(testProbingWritesAndChangesNothing);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { open(); }

    void testKeepsEveryFieldOfARun()
    {
        Run run = fullRun();
        _store->insert(run);
        CPPUNIT_ASSERT(run.seq > 0);
        CPPUNIT_ASSERT_EQUAL(text(run), text(*_store->run(run.id)));
        assertRuns({run}, {});
        reopen();
        CPPUNIT_ASSERT_EQUAL(text(run), text(*_store->run(run.id)));
        // One at a time, so that none stands in for another.
        for (bool Run::*flag : {&Run::resumed, &Run::holdsSlot, &Run::wantsSlot, &Run::stopping})
        {
            Run flagged{.id = newId()};
            flagged.*flag = true;
            _store->insert(flagged);
            CPPUNIT_ASSERT_EQUAL(text(flagged), text(*_store->run(flagged.id)));
        }
    }

    void testKeepsARunThatSaysNothing()
    {
        Run run{.id = newId()};
        _store->insert(run);
        CPPUNIT_ASSERT_EQUAL(text(run), text(*_store->run(run.id)));
    }

    void testKeepsEveryWordOfARun()
    {
        for (const auto status : {Status::Idle, Status::InProgress, Status::AwaitingApproval,
                                  Status::Success, Status::Failure})
            for (const auto trigger :
                 {TriggerType::Main, TriggerType::PrOpen, TriggerType::PrSync, TriggerType::Manual})
            {
                Run run{.id = newId(), .status = status, .trigger = trigger};
                _store->insert(run);
                CPPUNIT_ASSERT_EQUAL(text(run), text(*_store->run(run.id)));
            }
    }

    void testKeepsEveryFieldOfAStage()
    {
        const Stage stage = fullStage(newRun().id);
        _store->insert(stage);
        CPPUNIT_ASSERT_EQUAL(text(stage), text(*_store->stage(stage.id)));
        CPPUNIT_ASSERT_EQUAL(text(stage), text(_store->stages(stage.runId)[0]));
        for (bool Stage::*flag : {&Stage::approved, &Stage::startedCorrected})
        {
            Stage flagged{.id = newId(), .runId = newRun().id};
            flagged.*flag = true;
            _store->insert(flagged);
            CPPUNIT_ASSERT_EQUAL(text(flagged), text(*_store->stage(flagged.id)));
        }
    }

    void testKeepsAStageThatSaysNothing()
    {
        const Stage stage{.id = newId(), .runId = newRun().id};
        _store->insert(stage);
        CPPUNIT_ASSERT_EQUAL(text(stage), text(*_store->stage(stage.id)));
    }

    void testKeepsEveryWordOfAStage()
    {
        const auto keeps = [&](Stage stage)
        {
            stage.id = newId();
            stage.runId = newRun().id;
            _store->insert(stage);
            CPPUNIT_ASSERT_EQUAL(text(stage), text(*_store->stage(stage.id)));
        };
        for (int type = 0; type <= static_cast<int>(StageType::Other); ++type)
            keeps({.type = static_cast<StageType>(type)});
        for (int status = 0; status <= static_cast<int>(Status::Failure); ++status)
            keeps({.status = static_cast<Status>(status)});
        for (int cause = 0; cause <= static_cast<int>(Cause::HostReboot); ++cause)
            keeps({.cause = static_cast<Cause>(cause)});
        for (int intent = 0; intent <= static_cast<int>(Intent::Fail); ++intent)
            keeps({.intent = static_cast<Intent>(intent)});
        for (const auto synced : {Sync::None, Sync::Pending, Sync::OnDisk, Sync::Lost})
            keeps({.synced = synced});
    }

    void testUpdatesEveryFieldOfARun()
    {
        Run run{.id = newId()};
        _store->insert(run);
        Run changed = fullRun();
        changed.id = run.id;
        changed.seq = run.seq;
        changed.serviceId = run.serviceId; // it stays the run of its service
        changed.labels = run.labels;       // and as it was marked
        _store->update(changed);
        CPPUNIT_ASSERT_EQUAL(text(changed), text(*_store->run(run.id)));

        run.version = changed.version; // and back to nothing
        _store->update(run);
        CPPUNIT_ASSERT_EQUAL(text(run), text(*_store->run(run.id)));
    }

    void testAnUpdateOfTheSameStatusWritesAllButWhatHasStayed()
    {
        Run run{.id = newId()};
        _store->insert(run);
        Run changed = fullRun();
        changed.id = run.id;
        changed.seq = run.seq;
        changed.serviceId = run.serviceId;
        changed.labels = run.labels;
        _store->update(changed, true);
        changed.status = run.status;
        changed.endedAt = run.endedAt;
        changed.serviceName = run.serviceName;
        changed.branch = run.branch;
        CPPUNIT_ASSERT_EQUAL(text(changed), text(*_store->run(run.id)));
    }

    void testUpdatesEveryFieldOfAStage()
    {
        Stage stage{.id = newId(), .runId = newRun().id};
        _store->insert(stage);
        Stage changed = fullStage(stage.runId);
        changed.id = stage.id;
        changed.ordinal = stage.ordinal; // it keeps its place
        _store->update(changed);
        CPPUNIT_ASSERT_EQUAL(text(changed), text(*_store->stage(stage.id)));

        _store->update(stage);
        CPPUNIT_ASSERT_EQUAL(text(stage), text(*_store->stage(stage.id)));
    }

    void testAnUpdateTouchesNoOther()
    {
        Run run = newRun();
        const Run other = newRun();
        Stage stage = newStage(run, 0);
        const Stage sibling = newStage(run, 1);
        run.branch = "changed";
        stage.message = "changed";
        _store->update(run);
        _store->update(stage);
        CPPUNIT_ASSERT_EQUAL(text(other), text(*_store->run(other.id)));
        CPPUNIT_ASSERT_EQUAL(text(sibling), text(*_store->stage(sibling.id)));
    }

    /// Also many within a millisecond: the list cache and If-Match go by it.
    void testEveryUpdateIsLaterThanTheOneBefore()
    {
        Run run = newRun();
        Stage stage = newStage(run, 0);
        for (int i = 0; i < 50; ++i)
        {
            const Run runBefore = run;
            const Stage stageBefore = stage;
            _store->update(run);
            _store->update(stage);
            CPPUNIT_ASSERT(run.updatedAt > runBefore.updatedAt);
            CPPUNIT_ASSERT_EQUAL(runBefore.version + 1, run.version);
            CPPUNIT_ASSERT(stage.updatedAt > stageBefore.updatedAt);
            CPPUNIT_ASSERT_EQUAL(stageBefore.version + 1, stage.version);
        }
        CPPUNIT_ASSERT_EQUAL(text(run), text(*_store->run(run.id)));
        CPPUNIT_ASSERT_EQUAL(text(stage), text(*_store->stage(stage.id)));
    }

    void testAClockSetBackMakesNothingOlder()
    {
        Stage stage = newStage(newRun(), 0);
        const TimeMs ahead = nowMs() + 3'600'000;
        stage.updatedAt = ahead;
        _store->update(stage);
        CPPUNIT_ASSERT_EQUAL(ahead + 1, stage.updatedAt);
    }

    void testAnUnknownIdIsNothing()
    {
        newStage(newRun(), 0);
        CPPUNIT_ASSERT(!_store->run(newId()));
        CPPUNIT_ASSERT(!_store->run(""));
        CPPUNIT_ASSERT(!_store->run("' OR 1=1 --"));
        CPPUNIT_ASSERT(!_store->stage(newId()));
        CPPUNIT_ASSERT(_store->stages(newId()).empty());
    }

    void testListsRunsNewestFirst()
    {
        const Run first = newRun();
        const Run second = newRun();
        const Run third = newRun();
        CPPUNIT_ASSERT(first.seq < second.seq && second.seq < third.seq);
        assertRuns({third, second, first}, {});
    }

    void testListsRunsByServiceAndStatus()
    {
        const Run a = newRun({.status = Status::Success, .serviceId = "shop"});
        const Run b = newRun({.status = Status::Idle, .serviceId = "shop"});
        const Run c = newRun({.status = Status::Success, .serviceId = "blog"});
        const Run d = newRun({.status = Status::Success});
        assertRuns({b, a}, {.serviceId = "shop"});
        assertRuns({d, c, a}, {.statuses = {Status::Success}});
        assertRuns({a}, {.serviceId = "shop", .statuses = {Status::Success}});
        assertRuns({}, {.serviceId = "shop", .statuses = {Status::Failure}});
        assertRuns({}, {.serviceId = "nobody's"});
        assertRuns({d, c, b, a}, {});
    }

    void testPagesWithLimitAndBefore()
    {
        std::vector<Run> all;
        all.reserve(5);
        for (int i = 0; i < 5; ++i)
            all.push_back(newRun({.serviceId = "shop"}));
        for (const char* service : {"", "shop"})
        {
            assertRuns({all[4], all[3]}, {.serviceId = service, .limit = 2});
            assertRuns({all[2], all[1]},
                       {.serviceId = service, .beforeSeq = all[3].seq, .limit = 2});
            assertRuns({all[0]}, {.serviceId = service, .beforeSeq = all[1].seq, .limit = 2});
            assertRuns({}, {.serviceId = service, .beforeSeq = all[0].seq, .limit = 2});
        }
    }

    void testTheOpenRunsAreThoseThatHaveNotEnded()
    {
        const Run idle = newRun({.status = Status::Idle,
                                 .serviceName = "shop",
                                 .priority = 3,
                                 .resumed = true,
                                 .wantsSlot = true});
        newRun({.endedAt = 7, .status = Status::Success});
        const Run running = newRun({.status = Status::InProgress, .holdsSlot = true});
        newRun({.endedAt = 7, .status = Status::Failure});
        const Run waiting = newRun({.status = Status::AwaitingApproval});
        const Run finishing = newRun({.status = Status::Failure});
        const auto open = _store->openRuns();
        CPPUNIT_ASSERT_EQUAL(std::size_t(4), open.size());
        CPPUNIT_ASSERT_EQUAL(text(finishing), text(open[3]));
        CPPUNIT_ASSERT_EQUAL(text(idle), text(open[0]));
        CPPUNIT_ASSERT_EQUAL(text(running), text(open[1]));
        CPPUNIT_ASSERT_EQUAL(text(waiting), text(open[2]));
    }

    void testStagesComeInTheOrderOfExecution()
    {
        const Run run = newRun();
        const Run other = newRun();
        for (const int ordinal : {10, 2, 0, 1})
        {
            newStage(run, ordinal);
            newStage(other, ordinal);
        }
        std::string order;
        for (const auto& stage : _store->stages(run.id))
            order += std::to_string(stage.ordinal) + " ";
        CPPUNIT_ASSERT_EQUAL(std::string("0 1 2 10 "), order);
    }

    void testAStageNeedsItsRunAndItsOwnPlace()
    {
        const Run run = newRun();
        newStage(run, 0);
        CPPUNIT_ASSERT_THROW(newStage(run, 0), Poco::Exception);
        CPPUNIT_ASSERT_THROW(newStage({.id = newId()}, 0), Poco::Exception);
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), _store->stages(run.id).size());
    }

    /// A page's `before` and the order of the queue go by it.
    void testASequenceNumberIsNeverUsedAgain()
    {
        const Run last = newRun();
        _store->removeRun(last.id);
        CPPUNIT_ASSERT(newRun().seq > last.seq);
    }

    void testRemovingARunTakesItsStages()
    {
        const Run run = newRun();
        const Run other = newRun();
        const Stage stage = newStage(run, 0);
        const Stage kept = newStage(other, 0);
        _store->removeRun(run.id);
        CPPUNIT_ASSERT(!_store->run(run.id));
        CPPUNIT_ASSERT(!_store->stage(stage.id));
        CPPUNIT_ASSERT(_store->run(other.id));
        CPPUNIT_ASSERT(_store->stage(kept.id));
    }

    void testRemovingAStageLeavesTheOthers()
    {
        const Run run = newRun();
        const Stage first = newStage(run, 0);
        const Stage second = newStage(run, 1);
        _store->removeStage(first.id);
        CPPUNIT_ASSERT(!_store->stage(first.id));
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), _store->stages(run.id).size());
        CPPUNIT_ASSERT(_store->stage(second.id));
        CPPUNIT_ASSERT(_store->run(run.id));
    }

    void testAServiceKeepsItsId()
    {
        const auto shop = _services->of("shop");
        const auto strange = _services->of(awkward);
        CPPUNIT_ASSERT(!shop.empty());
        CPPUNIT_ASSERT(shop != strange);
        CPPUNIT_ASSERT_EQUAL(shop, _services->of("shop"));
        reopen();
        CPPUNIT_ASSERT_EQUAL(shop, _services->of("shop"));
        CPPUNIT_ASSERT_EQUAL(strange, _services->of(awkward));
        CPPUNIT_ASSERT(shop != _services->of("Shop"));
    }

    void testRemembersWhatWasSubmitted()
    {
        CPPUNIT_ASSERT(!_submissions->find("key", 0));
        _submissions->remember("key", {.runId = "run", .bodyHash = "hash"}, 1'000);
        const auto found = _submissions->find("key", 0);
        CPPUNIT_ASSERT(found);
        CPPUNIT_ASSERT_EQUAL(std::string("run"), found->runId);
        CPPUNIT_ASSERT_EQUAL(std::string("hash"), found->bodyHash);
        CPPUNIT_ASSERT(!_submissions->find("other", 0));
        CPPUNIT_ASSERT(!_submissions->find("KEY", 0));
    }

    void testAnOldSubmissionDoesNotCount()
    {
        _submissions->remember("key", {.runId = "a", .bodyHash = "a"}, 1'000);
        CPPUNIT_ASSERT(_submissions->find("key", 1'000));
        CPPUNIT_ASSERT(!_submissions->find("key", 1'001));
        _submissions->remember("key", {.runId = "b", .bodyHash = "b"}, 2'000); // used anew
        CPPUNIT_ASSERT_EQUAL(std::string("b"), _submissions->find("key", 1'001)->runId);
    }

    void testForgetsSubmissionsAfterADay()
    {
        constexpr TimeMs day = 86'400'000;
        _submissions->remember("old", {.runId = "a", .bodyHash = "a"}, 1'000);
        _submissions->remember("kept", {.runId = "b", .bodyHash = "b"}, 1'001);
        _submissions->remember("new", {.runId = "c", .bodyHash = "c"}, 1'001 + day);
        CPPUNIT_ASSERT(!_submissions->find("old", 0));
        CPPUNIT_ASSERT(_submissions->find("kept", 0));
        CPPUNIT_ASSERT(_submissions->find("new", 0));
    }

    /// The API asks on a reader's connection first.
    void testAReaderLooksUpSubmissions()
    {
        _submissions->remember("key", {.runId = "run", .bodyHash = "hash"}, 1'000);
        auto reader = _database->reader();
        CPPUNIT_ASSERT(Submissions(*reader).find("key", 0));
        CPPUNIT_ASSERT(!Submissions(*reader).find("key", 1'001));
    }

    void testProbingWritesAndChangesNothing()
    {
        const Run run = newRun();
        const auto shop = _services->of("shop");
        _store->probe();
        _store->probe();
        CPPUNIT_ASSERT_EQUAL(text(run), text(*_store->run(run.id)));
        CPPUNIT_ASSERT_EQUAL(shop, _services->of("shop"));
        auto reader = _database->reader();
        CPPUNIT_ASSERT_THROW(RunStore(*reader).probe(), Poco::Exception);
    }

private:
    Run newRun(Run run = {})
    {
        run.id = newId();
        _store->insert(run);
        return run;
    }

    Stage newStage(const Run& run, int ordinal)
    {
        Stage stage{.id = newId(), .runId = run.id, .ordinal = ordinal};
        _store->insert(stage);
        return stage;
    }

    void assertRuns(const std::vector<Run>& expected, const RunFilter& filter)
    {
        const auto all = [](std::vector<Run> runs)
        {
            std::string lines;
            for (auto& run : runs)
            {
                run.pipeline.clear(); // lists are without
                lines += text(run) + "\n";
            }
            return lines;
        };
        const auto listed = RunList(_database->writer()).runs(filter);
        CPPUNIT_ASSERT_EQUAL(all(expected), all(listed));
        for (const auto& run : listed)
            CPPUNIT_ASSERT_EQUAL(std::string(), run.pipeline);
        const auto page = RunList(_database->writer()).page(filter);
        CPPUNIT_ASSERT_EQUAL(!expected.empty(), page.has_value());
        if (page)
            CPPUNIT_ASSERT(page->firstSeq == expected.front().seq &&
                           page->lastSeq == expected.back().seq &&
                           page->lastId == expected.back().id);
    }

    void open()
    {
        _database = std::make_unique<Database>(_file);
        _store = std::make_unique<RunStore>(_database->writer());
        _services = std::make_unique<ServiceIds>(_database->writer());
        _submissions = std::make_unique<Submissions>(_database->writer());
        _database->writer().execute("PRAGMA synchronous = OFF"); // no power is cut here
    }

    void reopen()
    {
        _store.reset();
        _services.reset();
        _submissions.reset();
        _database.reset();
        open();
    }

    FilesFolder _files;
    std::filesystem::path _file = _files.path() / "record.db";
    std::unique_ptr<Database> _database;
    std::unique_ptr<RunStore> _store;
    std::unique_ptr<ServiceIds> _services;
    std::unique_ptr<Submissions> _submissions;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RunStoreTest);

} // namespace agent
