#include "agent/model/Id.h"
#include "agent/run/ServiceCommands.h"
#include "tests/support/EngineFixture.h"

#include <Poco/Data/SQLite/Utility.h>
#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>
#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

namespace agent
{

// The engine's rules without a process: stages run in memory (MemoryRunner), the record is a real one.
class EngineTest: public EngineFixture
{
    CPPUNIT_TEST_SUITE(EngineTest);
    CPPUNIT_TEST(testStagesRunInOrderToSuccess);
    CPPUNIT_TEST(testExpectsTheStageAfterTheOneThatWasLaunched);
    CPPUNIT_TEST(testWhatAnOutcomeSaysIsBoundedText);
    CPPUNIT_TEST(testAFailureEndsTheRun);
    CPPUNIT_TEST(testTriesAgainAsOftenAsRetrySays);
    CPPUNIT_TEST(testAStopIsAnsweredWhenTheStageHasEnded);
    CPPUNIT_TEST(testAnOverrideDecidesTheEnd);
    CPPUNIT_TEST(testAnApprovalHoldsNoSlot);
    CPPUNIT_TEST(testAnUnkillableStageBlocksItsSlotUntilItEnds);
    CPPUNIT_TEST(testARestartAdoptsWhatRunsAndLaunchesWhatNeverRan);
    CPPUNIT_TEST(testTheQueueKeepsItsOrderOverARestart);
    CPPUNIT_TEST(testARunThatCannotStartGivesItsSlotToTheNext);
    CPPUNIT_TEST(testARefusedCommandLeavesTheQueueAsItWas);
    CPPUNIT_TEST(testAStartThatIsTakenBackIsNotLaunchedAndItsPreparationDropped);
    CPPUNIT_TEST(testAnswersPings);
    CPPUNIT_TEST(testSubmitStartAndEndCostTheSameBehindManyQueuedRuns);
    CPPUNIT_TEST_SUITE_END();

public:
    void testStagesRunInOrderToSuccess()
    {
        start();
        const auto run = submit(two);
        const auto stages = stagesOfRun(run);
        waitFor([&] { return _runner.runs(stages[0]); });
        CPPUNIT_ASSERT(!_runner.runs(stages[1]));
        CPPUNIT_ASSERT_EQUAL(1, _engine->status().running);
        _runner.exit(stages[0], 0);
        waitFor([&] { return _runner.runs(stages[1]); });
        _runner.exit(stages[1], 0);
        waitForEnd(run, Status::Success);
        CPPUNIT_ASSERT_EQUAL(0, _engine->status().running);
    }

    void testExpectsTheStageAfterTheOneThatWasLaunched()
    {
        start();
        const auto run = submit(two);
        const auto stages = stagesOfRun(run);
        waitFor([&] { return !_runner.expected().empty(); });
        const std::string next = _state->attempt(stage(stages[1]), 1).string();
        CPPUNIT_ASSERT(std::set<std::string>{next} == _runner.expected());
        _runner.exit(stages[0], 0);
        waitFor([&] { return _runner.runs(stages[1]); });
        _runner.exit(stages[1], 0);
        waitForEnd(run, Status::Success);
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), _runner.expected().size());
    }

    /// Symptom: invalid JSON, and megabytes, in the detail view of a stage that wrote its own outcome.
    void testWhatAnOutcomeSaysIsBoundedText()
    {
        start();
        const auto run = submit(two);
        const auto id = stagesOfRun(run)[0];
        waitFor([&] { return _runner.runs(id); });
        _runner.end(id, {.cause = Cause::PluginError,
                         .message = "\x1b[2J \xff " + std::string(1 << 20, 'x')});
        waitForEnd(run, Status::Failure);
        const std::string message = stage(id).message;
        CPPUNIT_ASSERT_EQUAL(std::string("\\x1b[2J \\xff xxx"), message.substr(0, 16));
        CPPUNIT_ASSERT(message.size() <= 4096);
    }

    void testAFailureEndsTheRun()
    {
        start();
        const auto run = submit(two);
        const auto stages = stagesOfRun(run);
        waitFor([&] { return _runner.runs(stages[0]); });
        _runner.exit(stages[0], 3);
        waitForEnd(run, Status::Failure);
        CPPUNIT_ASSERT(stage(stages[1]).status == Status::Idle);
        CPPUNIT_ASSERT_EQUAL(3, stage(stages[0]).exitCode.value());
    }

    void testTriesAgainAsOftenAsRetrySays()
    {
        start();
        const auto run = submit("stages: [{type: BUILD, plugin: shell, with: {command: x}, "
                                "retry: {attempts: 3, delay: 1ms}}]");
        const auto id = stagesOfRun(run)[0];
        for (int attempt = 1; attempt <= 3; ++attempt)
        {
            waitFor([&] { return _runner.runs(id); });
            CPPUNIT_ASSERT_EQUAL(attempt, stage(id).attempt);
            _runner.exit(id, 1);
        }
        waitForEnd(run, Status::Failure);
        CPPUNIT_ASSERT_EQUAL(3, _runner.launches());
    }

    void testAStopIsAnsweredWhenTheStageHasEnded()
    {
        start();
        const auto run = submit(two);
        const auto id = stagesOfRun(run)[0];
        waitFor([&] { return _runner.runs(id); });
        CPPUNIT_ASSERT_EQUAL(1, commands::stop(*_engine, run, "test"));
        CPPUNIT_ASSERT(stage(id).cause == Cause::Stopped);
        waitForEnd(run, Status::Failure);
    }

    void testAnOverrideDecidesTheEnd()
    {
        start();
        const auto run = submit(two);
        const auto stages = stagesOfRun(run);
        waitFor([&] { return _runner.runs(stages[0]); });
        commands::patchStage(*_engine, stages[0], {.status = Status::Success, .actor = "test"});
        CPPUNIT_ASSERT(stage(stages[0]).cause == Cause::Operator);
        waitFor([&] { return _runner.runs(stages[1]); });
    }

    void testAnApprovalHoldsNoSlot()
    {
        start();
        const auto waits = submit("stages: [{type: BUILD, plugin: shell, with: {command: x}, "
                                  "approval: required}]");
        waitFor([&] { return status(waits) == Status::AwaitingApproval; });
        const auto other = submit(two);
        waitFor([&] { return _runner.runs(stagesOfRun(other)[0]); });
        commands::approve(*_engine, waits, {.name = "test"});
        waitFor([&] { return _runner.runs(stagesOfRun(waits)[0]); });
    }

    void testAnUnkillableStageBlocksItsSlotUntilItEnds()
    {
        start();
        _runner.survive();
        const auto run = submit(two);
        const auto id = stagesOfRun(run)[0];
        waitFor([&] { return _runner.runs(id); });
        auto stopped =
            std::async(std::launch::async, [&] { return commands::stop(*_engine, run, "test"); });
        waitFor([&] { return stage(id).intent == Intent::Stop; });
        _runner.reportUnkillable(id);
        CPPUNIT_ASSERT_THROW(stopped.get(), Declined);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, _engine->status().blockedSlots.size());
        CPPUNIT_ASSERT(stage(id).stuckSince.has_value());
        _runner.end(id, {.cause = Cause::Stopped});
        waitForEnd(run, Status::Failure);
        CPPUNIT_ASSERT(_engine->status().blockedSlots.empty());
    }

    void testARestartAdoptsWhatRunsAndLaunchesWhatNeverRan()
    {
        start();
        const auto runs = submit(two);
        const auto adopted = stagesOfRun(runs)[0];
        waitFor([&] { return _runner.runs(adopted); });
        _engine.reset();
        start();
        CPPUNIT_ASSERT_EQUAL(1, _runner.launches());
        _runner.exit(adopted, 0);
        waitFor([&] { return _runner.runs(stagesOfRun(runs)[1]); });

        // The daemon died between the commit and the launch.
        _engine.reset();
        MemoryRunner none;
        Engine next({.slots = 1}, *_database, *_state, _plugins, _services, none, *_cleanup,
                    silent());
        next.start();
        waitFor([&] { return none.runs(stagesOfRun(runs)[1]); });
        next.stop();
    }

    void testTheQueueKeepsItsOrderOverARestart()
    {
        start();
        const auto first = submit(two);
        waitFor([&] { return _runner.runs(stagesOfRun(first)[0]); });
        const auto low = submit(one);
        const auto high = submit(one, 5);
        CPPUNIT_ASSERT_EQUAL(2, _engine->status().queued);
        _engine.reset();
        start();
        CPPUNIT_ASSERT_EQUAL(2, _engine->status().queued);
        CPPUNIT_ASSERT_EQUAL(1, _engine->status().running);
        commands::stop(*_engine, first, "test");
        waitFor([&] { return _runner.runs(stagesOfRun(high)[0]); });
        CPPUNIT_ASSERT(status(low) == Status::Idle);
    }

    /// Symptom it guards against: a part of a batch that was rolled back leaves its slot taken in memory.
    void testARunThatCannotStartGivesItsSlotToTheNext()
    {
        start();
        const auto first = submit(two);
        waitFor([&] { return _runner.runs(stagesOfRun(first)[0]); });
        const auto broken = submit(one);
        const auto next = submit(one);
        _engine.reset();
        {
            RunStore runs(_database->writer());
            auto run = runs.run(broken);
            run->pipeline = "{";
            runs.update(*run);
        }
        start();
        commands::stop(*_engine, first, "test");
        waitForEnd(broken, Status::Failure);
        waitFor([&] { return _runner.runs(stagesOfRun(next)[0]); });
        CPPUNIT_ASSERT_EQUAL(1, _engine->status().running);
        CPPUNIT_ASSERT_EQUAL(0, _engine->status().queued);
    }

    void testARefusedCommandLeavesTheQueueAsItWas()
    {
        start();
        const auto run = submit(two);
        waitFor([&] { return _runner.runs(stagesOfRun(run)[0]); });
        const auto before = _engine->status();
        const auto refused = [](Batch& batch, EngineParts&) -> Answer<Done>
        {
            Run made{.id = "11111111-1111-4111-8111-111111111111"};
            made.wantsSlot = true;
            batch.insert(made);
            batch.queue.drain(true);
            batch.onRollback([&batch] { batch.queue.drain(false); });
            throw Declined::conflict("refused", "refused");
        };
        CPPUNIT_ASSERT_THROW(_engine->call<Done>(refused), Declined);
        const auto after = _engine->status();
        CPPUNIT_ASSERT_EQUAL(before.queued, after.queued);
        CPPUNIT_ASSERT_EQUAL(before.running, after.running);
        CPPUNIT_ASSERT(!after.draining);
    }

    /// What is prepared for a start that is taken back must not keep the lock of the next one.
    void testAStartThatIsTakenBackIsNotLaunchedAndItsPreparationDropped()
    {
        start();
        submit(two); // has the slot
        const auto run = submit(one);
        const auto refused = [&](Batch& batch, EngineParts& parts) -> Answer<Done>
        {
            auto waiting = batch.runs.run(run).value();
            waiting.holdsSlot = true;
            parts.flow.advance(batch, waiting);
            throw Declined::conflict("refused", "refused");
        };
        const int launches = _runner.launches();
        CPPUNIT_ASSERT_THROW(_engine->call<Done>(refused), Declined);
        CPPUNIT_ASSERT_EQUAL(launches, _runner.launches());
        CPPUNIT_ASSERT(!_runner.prepared(stagesOfRun(run)[0]));
        CPPUNIT_ASSERT(status(run) == Status::Idle);
    }

    void testAnswersPings()
    {
        start();
        CPPUNIT_ASSERT(_engine->ping(std::chrono::seconds(10)));
        std::promise<void> release;
        auto held = release.get_future().share();
        auto busy = std::async(std::launch::async,
                               [&]
                               {
                                   _engine->call<Done>(
                                       [held](Batch&, EngineParts&)
                                       {
                                           held.wait();
                                           return Done{};
                                       });
                               });
        waitFor([&] { return !_engine->ping(std::chrono::milliseconds(1)); });
        release.set_value();
        busy.get();
        CPPUNIT_ASSERT(_engine->ping(std::chrono::seconds(10)));
        _engine->stop();
        CPPUNIT_ASSERT(!_engine->ping(std::chrono::milliseconds(1)));
    }

    /// Counts the instructions that SQLite executes: nothing may grow with the queue.
    void testSubmitStartAndEndCostTheSameBehindManyQueuedRuns()
    {
        start();
        auto holder = stagesOfRun(submit(one))[0];
        waitFor([&] { return _runner.runs(holder); });
        queueMany(10);
        const auto few = costOfARun(holder);
        queueMany(100'000);
        const auto many = costOfARun(holder);
        CPPUNIT_ASSERT_MESSAGE("few: " + std::to_string(few) + ", many: " + std::to_string(many),
                               many <= few + few / 10);
        CPPUNIT_ASSERT_EQUAL(100'010, _engine->status().queued);
    }

private:
    /// Queues runs without stages, of many services, behind all that a test submits.
    void queueMany(int count)
    {
        _engine->call<Done>(
            [count](Batch& batch, EngineParts&)
            {
                for (int i = 0; i < count; ++i)
                {
                    Run run{.id = newId(), .createdAt = nowMs(), .updatedAt = nowMs()};
                    run.serviceName = i % 2 == 0 ? "" : "service " + std::to_string(i % 1'000);
                    run.priority = -1;
                    run.pipeline = "{}";
                    run.wantsSlot = true;
                    batch.insert(run);
                }
                return Done{};
            });
    }

    void countInstructions(bool on)
    {
        _engine->call<Done>(
            [&](Batch& batch, EngineParts&)
            {
                auto* db = Poco::Data::SQLite::Utility::dbHandle(batch.connection.session());
                const auto count = [](void* instructions)
                {
                    ++*static_cast<std::atomic<std::uint64_t>*>(instructions);
                    return 0;
                };
                ::sqlite3_progress_handler(db, on ? 1 : 0, on ? +count : nullptr, &_instructions);
                return Done{};
            });
    }

    /// Returns how many instructions SQLite needs to submit a run, end the one in `holder`, and start the
    /// new one, which is `holder` then.
    std::uint64_t costOfARun(std::string& holder)
    {
        _instructions = 0;
        countInstructions(true);
        const auto next = stagesOfRun(submit(one))[0];
        _runner.exit(holder, 0);
        waitFor([&] { return _runner.runs(next); });
        countInstructions(false);
        holder = next;
        return _instructions;
    }

    std::atomic<std::uint64_t> _instructions = 0;
};

CPPUNIT_TEST_SUITE_REGISTRATION(EngineTest);

} // namespace agent
