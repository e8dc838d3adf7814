#include "agent/run/RunFlow.h"

#include "agent/model/Conditions.h"
#include "agent/run/ServiceCommands.h"
#include "tests/support/EngineFixture.h"

namespace agent
{

/// How runs go from stage to stage with conditions: docs/conditions.md.
class RunFlowTest: public EngineFixture
{
    CPPUNIT_TEST_SUITE(RunFlowTest);
    CPPUNIT_TEST(testAStageOfAnotherBranchIsSkippedAndTheRunSucceeds);
    CPPUNIT_TEST(testTheTriggerDecidesAsItWasAtTheSubmission);
    CPPUNIT_TEST(testARunOfSkippedStagesAloneSucceeds);
    CPPUNIT_TEST(testASkippedStageIsNeitherStartedNorAcceptedButDeleted);
    CPPUNIT_TEST(testAfterAFailureTheLastStagesRunAndTheRunHasFailedAtOnce);
    CPPUNIT_TEST(testTheLastStagesLearnWhatFailed);
    CPPUNIT_TEST(testWithoutAFailureAlwaysRunsAndFailureIsSkipped);
    CPPUNIT_TEST(testALastStageThatFailsDoesNotKeepTheNextFromRunning);
    CPPUNIT_TEST(testAFailedRunKeepsSlotAndConcurrencyUntilItsLastStagesEnded);
    CPPUNIT_TEST(testAFailedRunIsNeitherRerunNorDeletedBeforeItsLastStagesEnded);
    CPPUNIT_TEST(testAStopIsAnsweredBeforeTheLastStagesAndASecondOneEndsThem);
    CPPUNIT_TEST(testAStopDuringAStopIsTheSameStop);
    CPPUNIT_TEST(testAStopThatCameTooLateLeavesASuccess);
    CPPUNIT_TEST(testAfterAStopInTheQueueNothingRuns);
    CPPUNIT_TEST(testAfterTheRejectionOfTheFirstStageNothingRuns);
    CPPUNIT_TEST(testAfterARejectionTheLastStagesWaitForASlotAndRun);
    CPPUNIT_TEST(testAfterTheLastRetryTheLastStagesRun);
    CPPUNIT_TEST(testAStopDuringTheDelayOfARetryStartsTheLastStages);
    CPPUNIT_TEST(testLastStagesAreRetriedThemselves);
    CPPUNIT_TEST(testDrainLetsTheLastStagesEnd);
    CPPUNIT_TEST(testARestartGoesOnWithTheLastStages);
    CPPUNIT_TEST(testARestartAfterAStopGoesOnWithTheLastStages);
    CPPUNIT_TEST(testWhatIsTriedAgainHasItsLastStagesAgain);
    CPPUNIT_TEST(testWhatIsAcceptedHasItsLastStagesAgain);
    CPPUNIT_TEST(testALastStageThatIsTriedAgainLeavesTheRunFailed);
    CPPUNIT_TEST(testNothingIsTriedAgainWhileTheLastStagesWork);
    CPPUNIT_TEST(testARunThatCannotGoOnRunsNothingMore);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAStageOfAnotherBranchIsSkippedAndTheRunSucceeds()
    {
        start();
        const auto made = submit(build + ", " +
                                     stageLike("DEPLOY_STAGING", "when: {branch: [main, "
                                                                 "'release/*']}") +
                                     ", " + after,
                                 "feature/x");
        const auto stages = stagesOfRun(made);
        CPPUNIT_ASSERT_EQUAL(std::string("branch is feature/x"), stage(stages[1]).skipped);
        endWhenItRuns(stages[0], 0);
        endWhenItRuns(stages[2], 0);
        waitForEnd(made, Status::Success);
        CPPUNIT_ASSERT(stage(stages[1]).status == Status::Idle);
        CPPUNIT_ASSERT_EQUAL(0, stage(stages[1]).attempt);

        const auto other = stagesOfRun(submit(
            build + ", " + stageLike("DEPLOY_STAGING", "when: {branch: [main, 'release/*']}"),
            "release/1/2"));
        endWhenItRuns(other[0], 0);
        endWhenItRuns(other[1], 0);
    }

    void testTheTriggerDecidesAsItWasAtTheSubmission()
    {
        start();
        const auto made =
            submit(stageLike("BUILD", "when: {trigger: [MAIN, PR_OPEN]}") + ", " + build, "main",
                   TriggerType::PrSync);
        const auto stages = stagesOfRun(made);
        CPPUNIT_ASSERT_EQUAL(std::string("trigger is PR_SYNC"), stage(stages[0]).skipped);
        CPPUNIT_ASSERT_EQUAL(std::string(), stage(stages[1]).skipped);
        _engine->call<Done>(
            [&](Batch& batch, EngineParts&)
            {
                Run changed = batch.runs.run(made).value();
                changed.trigger = TriggerType::Main;
                batch.update(changed);
                return Done{};
            });
        endWhenItRuns(stages[1], 1);
        waitForEnd(made, Status::Failure);
        makeWorkspace(made);
        patch(stages[1], Status::Idle);
        endWhenItRuns(stages[1], 0);
        waitForEnd(made, Status::Success);
        CPPUNIT_ASSERT(stage(stages[0]).status == Status::Idle);
    }

    void testARunOfSkippedStagesAloneSucceeds()
    {
        start();
        waitForEnd(submit(stageLike("BUILD", "when: {branch: [main]}"), "next"), Status::Success);
        waitForEnd(submit(stageLike("BUILD", "when: {branch: [main]}"), ""), Status::Success);
        waitForEnd(submit(stageLike("BUILD", "when: {run: failure}"), ""), Status::Success);
        CPPUNIT_ASSERT_EQUAL(0, _runner.launches());
    }

    void testASkippedStageIsNeitherStartedNorAcceptedButDeleted()
    {
        start();
        const auto made =
            submit(build + ", " + stageLike("OTHER", "when: {branch: [main]}"), "next");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 0);
        waitForEnd(made, Status::Success);
        for (const auto wanted : {Status::InProgress, Status::Success, Status::Failure})
            assertDeclined("stage_skipped", [&] { patch(stages[1], wanted); });
        patch(stages[1], Status::Idle);
        commands::deleteStage(*_engine, stages[1], {}, {.name = "test"});
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, stagesOfRun(made).size());
    }

    void testAfterAFailureTheLastStagesRunAndTheRunHasFailedAtOnce()
    {
        start();
        const auto made = submit(build + ", " + after + ", " + always + ", " + failure, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 3);
        waitFor([&] { return _runner.runs(stages[2]); });
        CPPUNIT_ASSERT(status(made) == Status::Failure);
        CPPUNIT_ASSERT(!run(made).endedAt);
        CPPUNIT_ASSERT(stage(stages[1]).status == Status::Idle);
        CPPUNIT_ASSERT(!_runner.runs(stages[3]));
        _runner.exit(stages[2], 0);
        endWhenItRuns(stages[3], 0);
        waitForEnd(made, Status::Failure);
        CPPUNIT_ASSERT(stage(stages[1]).status == Status::Idle);
        CPPUNIT_ASSERT(stage(stages[3]).status == Status::Success);
        CPPUNIT_ASSERT_EQUAL(0, _engine->status().running);
    }

    void testTheLastStagesLearnWhatFailed()
    {
        start();
        const auto failed = stagesOfRun(submit(build + ", " + always, "main"));
        endWhenItRuns(failed[0], 3);
        waitFor([&] { return _runner.runs(failed[1]); });
        auto environment = _runner.environment(failed[1]);
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), environment["RUN_STATUS"]);
        CPPUNIT_ASSERT_EQUAL(std::string("BUILD"), environment["FAILED_STAGE"]);
        _runner.exit(failed[1], 0);

        const auto good = stagesOfRun(submit(build + ", " + always, "main"));
        endWhenItRuns(good[0], 0);
        waitFor([&] { return _runner.runs(good[1]); });
        environment = _runner.environment(good[1]);
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), environment["RUN_STATUS"]);
        CPPUNIT_ASSERT_EQUAL(std::string(), environment["FAILED_STAGE"]);
        CPPUNIT_ASSERT(!_runner.environment(good[0]).contains("RUN_STATUS"));
    }

    void testWithoutAFailureAlwaysRunsAndFailureIsSkipped()
    {
        start();
        const auto made = submit(build + ", " + failure + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 0);
        waitFor([&] { return _runner.runs(stages[2]); });
        CPPUNIT_ASSERT(status(made) == Status::InProgress);
        CPPUNIT_ASSERT_EQUAL(std::string(noFailure), stage(stages[1]).skipped);
        _runner.exit(stages[2], 0);
        waitForEnd(made, Status::Success);
    }

    void testALastStageThatFailsDoesNotKeepTheNextFromRunning()
    {
        start();
        const auto made = submit(build + ", " + always + ", " + failure + ", " + after, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 0);
        endWhenItRuns(stages[1], 1); // it fails a run that was good
        waitFor([&] { return _runner.runs(stages[2]); });
        CPPUNIT_ASSERT(status(made) == Status::Failure);
        _runner.exit(stages[2], 1);
        waitForEnd(made, Status::Failure);
        CPPUNIT_ASSERT(stage(stages[3]).status == Status::Idle);
    }

    void testAFailedRunKeepsSlotAndConcurrencyUntilItsLastStagesEnded()
    {
        start();
        const auto made = submit(build + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        const auto next = submit(build, "main");
        endWhenItRuns(stages[0], 1);
        waitFor([&] { return _runner.runs(stages[1]); });
        CPPUNIT_ASSERT_EQUAL(1, _engine->status().running);
        CPPUNIT_ASSERT_EQUAL(1, _engine->status().queued);
        CPPUNIT_ASSERT(status(next) == Status::Idle);
        _runner.exit(stages[1], 0);
        waitFor([&] { return _runner.runs(stagesOfRun(next)[0]); });
        CPPUNIT_ASSERT(run(made).ended());
    }

    void testAFailedRunIsNeitherRerunNorDeletedBeforeItsLastStagesEnded()
    {
        start();
        const auto made = submit(build + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 1);
        waitFor([&] { return _runner.runs(stages[1]); });
        assertDeclined("run_not_ended", [&] { commands::rerun(*_engine, made, "test"); });
        assertDeclined("run_in_progress", [&] { commands::deleteRun(*_engine, made, "test"); });
        _runner.exit(stages[1], 0);
        waitForEnd(made, Status::Failure);
        commands::rerun(*_engine, made, "test");
        commands::deleteRun(*_engine, made, "test");
    }

    void testAStopIsAnsweredBeforeTheLastStagesAndASecondOneEndsThem()
    {
        start();
        const auto made = submit(build + ", " + always + ", " + failure, "main");
        const auto stages = stagesOfRun(made);
        waitFor([&] { return _runner.runs(stages[0]); });
        CPPUNIT_ASSERT_EQUAL(1, commands::stop(*_engine, made, "test"));
        waitFor([&] { return _runner.runs(stages[1]); });
        CPPUNIT_ASSERT(stage(stages[0]).cause == Cause::Stopped);
        CPPUNIT_ASSERT(status(made) == Status::Failure);
        CPPUNIT_ASSERT(!run(made).ended());
        CPPUNIT_ASSERT_EQUAL(1, commands::stop(*_engine, made, "test"));
        waitForEnd(made, Status::Failure);
        CPPUNIT_ASSERT(stage(stages[1]).cause == Cause::Stopped);
        CPPUNIT_ASSERT(stage(stages[2]).status == Status::Idle);
        CPPUNIT_ASSERT_EQUAL(0, commands::stop(*_engine, made, "test"));
    }

    void testAStopDuringAStopIsTheSameStop()
    {
        start();
        _runner.survive();
        const auto made = submit(build + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        waitFor([&] { return _runner.runs(stages[0]); });
        auto first =
            std::async(std::launch::async, [&] { return commands::stop(*_engine, made, "one"); });
        waitFor([&] { return stage(stages[0]).intent == Intent::Stop; });
        const auto again = _engine->call<commands::Stopped>(
            [&](Batch& batch, EngineParts& parts)
            {
                Run same = batch.runs.run(made).value();
                return commands::stop(batch, parts, same, Intent::Stop, "two", "stopped");
            });
        CPPUNIT_ASSERT_EQUAL(stages[0], again.awaited);
        CPPUNIT_ASSERT_EQUAL(0, again.stages);
        _runner.end(stages[0], {.cause = Cause::Stopped});
        CPPUNIT_ASSERT_EQUAL(1, first.get());
        endWhenItRuns(stages[1], 0);
        waitForEnd(made, Status::Failure);
        CPPUNIT_ASSERT(stage(stages[1]).status == Status::Success);
    }

    void testAStopThatCameTooLateLeavesASuccess()
    {
        start();
        _runner.survive();
        const auto made = submit(build, "main");
        const auto id = stagesOfRun(made)[0];
        waitFor([&] { return _runner.runs(id); });
        auto stopped =
            std::async(std::launch::async, [&] { return commands::stop(*_engine, made, "test"); });
        waitFor([&] { return stage(id).intent == Intent::Stop; });
        _runner.exit(id, 0);
        CPPUNIT_ASSERT_EQUAL(0, stopped.get());
        waitForEnd(made, Status::Success);
    }

    void testAfterAStopInTheQueueNothingRuns()
    {
        start();
        const auto holder = stagesOfRun(submit(build, "main"))[0];
        const auto made = submit(build + ", " + always, "main");
        commands::stop(*_engine, made, "test");
        waitForEnd(made, Status::Failure);
        CPPUNIT_ASSERT(run(made).stopCause == Cause::Stopped);
        endWhenItRuns(holder, 0);
        CPPUNIT_ASSERT_EQUAL(1, _runner.launches());
    }

    void testAfterTheRejectionOfTheFirstStageNothingRuns()
    {
        start();
        const auto made = submit(gated + ", " + always, "main");
        waitFor([&] { return status(made) == Status::AwaitingApproval; });
        patch(stagesOfRun(made)[0], Status::Failure);
        waitForEnd(made, Status::Failure);
        CPPUNIT_ASSERT_EQUAL(0, _runner.launches());
    }

    void testAfterARejectionTheLastStagesWaitForASlotAndRun()
    {
        start();
        const auto made = submit(build + ", " + gated + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 0);
        waitFor([&] { return status(made) == Status::AwaitingApproval; });
        const auto holder = stagesOfRun(submit(build, "main"))[0];
        waitFor([&] { return _runner.runs(holder); });
        patch(stages[1], Status::Failure);
        CPPUNIT_ASSERT(run(made).finishing());
        CPPUNIT_ASSERT(!_runner.runs(stages[2]));
        CPPUNIT_ASSERT_EQUAL(1, _engine->status().queued);
        _runner.exit(holder, 0);
        endWhenItRuns(stages[2], 0);
        waitForEnd(made, Status::Failure);
        CPPUNIT_ASSERT(stage(stages[1]).cause == Cause::Rejected);
    }

    void testAfterTheLastRetryTheLastStagesRun()
    {
        start();
        const auto made =
            submit(stageLike("BUILD", "retry: {attempts: 2, delay: 1ms}") + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 1);
        waitFor([&] { return _runner.runs(stages[0]); });
        CPPUNIT_ASSERT(!_runner.runs(stages[1]));
        _runner.exit(stages[0], 1);
        endWhenItRuns(stages[1], 0);
        waitForEnd(made, Status::Failure);
    }

    void testAStopDuringTheDelayOfARetryStartsTheLastStages()
    {
        start();
        const auto made =
            submit(stageLike("BUILD", "retry: {attempts: 2, delay: 1h}") + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 1);
        waitFor([&] { return stage(stages[0]).retryAt.has_value(); });
        CPPUNIT_ASSERT_EQUAL(1, commands::stop(*_engine, made, "test"));
        endWhenItRuns(stages[1], 0);
        waitForEnd(made, Status::Failure);
        CPPUNIT_ASSERT(stage(stages[0]).cause == Cause::Stopped);
    }

    void testLastStagesAreRetriedThemselves()
    {
        start();
        const auto made =
            submit(build + ", " +
                       stageLike("OTHER", "when: {run: always}, retry: {attempts: 2, delay: 1ms}"),
                   "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 1);
        endWhenItRuns(stages[1], 1);
        endWhenItRuns(stages[1], 0);
        waitForEnd(made, Status::Failure);
        CPPUNIT_ASSERT_EQUAL(2, stage(stages[1]).attempt);
        CPPUNIT_ASSERT(stage(stages[1]).status == Status::Success);
    }

    void testDrainLetsTheLastStagesEnd()
    {
        start();
        const auto made = submit(build + ", " + gated + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 0);
        waitFor([&] { return status(made) == Status::AwaitingApproval; });
        commands::drain(*_engine, true);
        patch(stages[1], Status::Failure);
        endWhenItRuns(stages[2], 0);
        waitForEnd(made, Status::Failure);
    }

    void testARestartGoesOnWithTheLastStages()
    {
        start();
        const auto made = submit(build + ", " + always + ", " + failure, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 1);
        waitFor([&] { return _runner.runs(stages[1]); });
        const auto next = submit(build, "main");
        _engine.reset();
        start();
        CPPUNIT_ASSERT(run(made).finishing());
        CPPUNIT_ASSERT_EQUAL(1, _engine->status().running);
        CPPUNIT_ASSERT(status(next) == Status::Idle);
        _engine.reset();
        _runner.exit(stages[1], 0); // while there is no daemon
        start();
        endWhenItRuns(stages[2], 0);
        waitForEnd(made, Status::Failure);
        waitFor([&] { return _runner.runs(stagesOfRun(next)[0]); });
    }

    void testARestartAfterAStopGoesOnWithTheLastStages()
    {
        start();
        _runner.survive();
        const auto made = submit(build + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        waitFor([&] { return _runner.runs(stages[0]); });
        auto stopped = std::async(std::launch::async,
                                  [&]
                                  {
                                      try
                                      {
                                          commands::stop(*_engine, made, "test");
                                      }
                                      catch (const Declined&)
                                      {
                                          return; // the engine ends before
                                      }
                                  });
        waitFor([&] { return stage(stages[0]).intent == Intent::Stop; });
        _engine->stop();
        stopped.get();
        start();
        _runner.end(stages[0], {.cause = Cause::Stopped});
        endWhenItRuns(stages[1], 0);
        waitForEnd(made, Status::Failure);
    }

    void testWhatIsTriedAgainHasItsLastStagesAgain()
    {
        start();
        const auto made = submit(build + ", " + failure + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 1);
        endWhenItRuns(stages[1], 0);
        endWhenItRuns(stages[2], 0);
        waitForEnd(made, Status::Failure);
        makeWorkspace(made);
        patch(stages[0], Status::Idle);
        endWhenItRuns(stages[0], 0);
        endWhenItRuns(stages[2], 0);
        waitForEnd(made, Status::Success);
        CPPUNIT_ASSERT_EQUAL(2, stage(stages[2]).attempt);
        CPPUNIT_ASSERT_EQUAL(std::string(noFailure), stage(stages[1]).skipped);
    }

    void testWhatIsAcceptedHasItsLastStagesAgain()
    {
        start();
        const auto made = submit(build + ", " + after + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 1);
        endWhenItRuns(stages[2], 0);
        waitForEnd(made, Status::Failure);
        makeWorkspace(made);
        patch(stages[0], Status::Success);
        endWhenItRuns(stages[1], 0);
        endWhenItRuns(stages[2], 0);
        waitForEnd(made, Status::Success);
        CPPUNIT_ASSERT_EQUAL(2, stage(stages[2]).attempt);
    }

    void testALastStageThatIsTriedAgainLeavesTheRunFailed()
    {
        start();
        const auto made = submit(build + ", " + after + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 1);
        endWhenItRuns(stages[2], 1);
        waitForEnd(made, Status::Failure);
        makeWorkspace(made);
        patch(stages[2], Status::Idle);
        CPPUNIT_ASSERT(run(made).finishing());
        endWhenItRuns(stages[2], 0);
        waitForEnd(made, Status::Failure);
        CPPUNIT_ASSERT(stage(stages[1]).status == Status::Idle);
        CPPUNIT_ASSERT(stage(stages[2]).status == Status::Success);
    }

    void testNothingIsTriedAgainWhileTheLastStagesWork()
    {
        start();
        const auto made = submit(build + ", " + after + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 1);
        waitFor([&] { return _runner.runs(stages[2]); });
        makeWorkspace(made);
        assertDeclined("run_finishing", [&] { patch(stages[0], Status::Idle); });
        assertDeclined("run_finishing", [&] { patch(stages[0], Status::Success); });
        assertDeclined("run_finishing", [&] { patch(stages[1], Status::InProgress); });
        _runner.exit(stages[2], 0);
        waitForEnd(made, Status::Failure);
    }

    void testARunThatCannotGoOnRunsNothingMore()
    {
        start();
        const auto made = submit(build + ", " + always, "main");
        const auto stages = stagesOfRun(made);
        waitFor([&] { return _runner.runs(stages[0]); });
        _engine.reset();
        {
            RunStore runs(_database->writer());
            auto broken = runs.run(made);
            broken->pipeline = "{";
            runs.update(*broken);
        }
        start();
        waitForEnd(made, Status::Failure);
        CPPUNIT_ASSERT_EQUAL(1, _runner.launches());
    }

private:
    static std::string stageLike(const std::string& type, const std::string& more)
    {
        return "{type: " + type + ", plugin: shell, with: {command: x}, " + more + "}";
    }

    const std::string build = "{type: BUILD, plugin: shell, with: {command: x}}";
    const std::string after = "{type: UNIT_TEST, plugin: shell, with: {command: x}}";
    const std::string gated = stageLike("DEPLOY_PROD", "approval: required");
    const std::string always = stageLike("OTHER", "name: clean up, when: {run: always}");
    const std::string failure = stageLike("OTHER", "name: tell, when: {run: failure}");

    std::string submit(const std::string& stages, const std::string& branch,
                       TriggerType trigger = TriggerType::Manual)
    {
        return commands::submit(*_engine,
                                {.pipeline = Pipeline(pipeline("stages: [" + stages + "]")),
                                 .branch = branch,
                                 .trigger = trigger})
            .run.id;
    }

    void patch(const std::string& stageId, Status wanted)
    {
        commands::patchStage(*_engine, stageId, {.status = wanted, .actor = "test"});
    }

    /// As a stage with a process would have one.
    void makeWorkspace(const std::string& runId)
    {
        std::filesystem::create_directories(_state->workspace(runId));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RunFlowTest);

} // namespace agent
