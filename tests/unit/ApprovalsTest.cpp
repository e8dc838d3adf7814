#include "agent/run/Approvals.h"

#include "tests/support/EngineFixture.h"

namespace agent
{

/// Approvals that expire, and who may give them: docs/conditions.md.
class ApprovalsTest: public EngineFixture
{
    CPPUNIT_TEST_SUITE(ApprovalsTest);
    CPPUNIT_TEST(testAnApprovalThatNobodyGivesExpires);
    CPPUNIT_TEST(testTheTimeOfAnApprovalGoesOnOverRestarts);
    CPPUNIT_TEST(testAnApprovalInTimeStopsTheClock);
    CPPUNIT_TEST(testARejectedStageThatIsTriedAgainHasItsWholeTime);
    CPPUNIT_TEST(testOnlyThoseWhoAreNamedDecideThatItGoesOn);
    CPPUNIT_TEST(testARoleStandsForThoseAboveIt);
    CPPUNIT_TEST(testANameThatIsARoleIsOnlyTheRole);
    CPPUNIT_TEST(testWhoMayNotApproveCannotGoAround);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAnApprovalThatNobodyGivesExpires()
    {
        start();
        const auto made = submit("approval: {required: true, expires: 30ms}");
        const auto id = stagesOfRun(made)[0];
        waitForEnd(made, Status::Failure);
        const Stage ended = stage(id);
        CPPUNIT_ASSERT(ended.status == Status::Failure);
        CPPUNIT_ASSERT(ended.cause == Cause::Expired);
        CPPUNIT_ASSERT_EQUAL(0, ended.attempt);
        CPPUNIT_ASSERT(ended.message.starts_with("nobody approved it until "));
    }

    void testTheTimeOfAnApprovalGoesOnOverRestarts()
    {
        start();
        const auto made = submit("approval: {required: true, expires: 24h}");
        const auto id = stagesOfRun(made)[0];
        waitFor([&] { return status(made) == Status::AwaitingApproval; });
        const TimeMs until = stage(id).expiresAt.value();
        CPPUNIT_ASSERT(until > nowMs() + 86'000'000);
        _engine.reset();
        start();
        CPPUNIT_ASSERT(status(made) == Status::AwaitingApproval);
        CPPUNIT_ASSERT_EQUAL(until, stage(id).expiresAt.value());
        _engine.reset();
        {
            RunStore runs(_database->writer());
            Stage waiting = runs.stage(id).value();
            waiting.expiresAt = nowMs() - 1; // while there was no daemon
            runs.update(waiting);
        }
        start();
        waitForEnd(made, Status::Failure);
        CPPUNIT_ASSERT(stage(id).cause == Cause::Expired);
    }

    void testAnApprovalInTimeStopsTheClock()
    {
        start();
        const auto made = submit("approval: {required: true, expires: 24h}");
        const auto id = stagesOfRun(made)[0];
        waitFor([&] { return status(made) == Status::AwaitingApproval; });
        commands::approve(*_engine, made, {.name = "test"});
        CPPUNIT_ASSERT(!stage(id).expiresAt);
        endWhenItRuns(id, 0);
        waitForEnd(made, Status::Success);
    }

    void testARejectedStageThatIsTriedAgainHasItsWholeTime()
    {
        start();
        const auto made = submit("approval: {required: true, expires: 24h}");
        const auto id = stagesOfRun(made)[0];
        waitFor([&] { return status(made) == Status::AwaitingApproval; });
        const TimeMs first = stage(id).expiresAt.value();
        patch(id, Status::Failure, "test");
        CPPUNIT_ASSERT(!stage(id).expiresAt);
        waitFor([&] { return nowMs() > first - 86'400'000; });
        patch(id, Status::Idle, "test");
        waitFor([&] { return status(made) == Status::AwaitingApproval; });
        CPPUNIT_ASSERT(stage(id).expiresAt.value() > first);
    }

    void testOnlyThoseWhoAreNamedDecideThatItGoesOn()
    {
        start();
        const auto made = submit("approval: {required: true, by: [ada, admin]}");
        const auto id = stagesOfRun(made)[0];
        waitFor([&] { return status(made) == Status::AwaitingApproval; });
        assertDeclined("not_an_approver",
                       [&] { commands::approve(*_engine, made, {.name = "eve"}); });
        CPPUNIT_ASSERT(status(made) == Status::AwaitingApproval);
        commands::approve(*_engine, made, {.name = "ada"});
        endWhenItRuns(id, 0);
        waitForEnd(made, Status::Success);

        const auto rejected = submit("approval: {required: true, by: [ada]}");
        waitFor([&] { return status(rejected) == Status::AwaitingApproval; });
        patch(stagesOfRun(rejected)[0], Status::Failure, "eve");
        waitForEnd(rejected, Status::Failure);
    }

    void testARoleStandsForThoseAboveIt()
    {
        start();
        for (const auto& [by, role] :
             {std::pair{"operate", Role::Operate}, std::pair{"operate", Role::Admin},
              std::pair{"admin", Role::Admin}})
        {
            const auto made = submit(std::string("approval: {required: true, by: [") + by + "]}");
            waitFor([&] { return status(made) == Status::AwaitingApproval; });
            commands::approve(*_engine, made, {.name = "eve", .role = role});
            endWhenItRuns(stagesOfRun(made)[0], 0);
            waitForEnd(made, Status::Success);
        }
    }

    void testANameThatIsARoleIsOnlyTheRole()
    {
        start();
        const auto made = submit("approval: {required: true, by: [admin]}");
        waitFor([&] { return status(made) == Status::AwaitingApproval; });
        assertDeclined("not_an_approver",
                       [&] { commands::approve(*_engine, made, {.name = "admin"}); });
    }

    void testWhoMayNotApproveCannotGoAround()
    {
        start();
        const auto made = submit("approval: {required: true, by: [ada]}");
        const auto id = stagesOfRun(made)[0];
        const auto refused = [&]
        {
            for (const auto wanted : {Status::InProgress, Status::Success})
                assertDeclined("not_an_approver", [&] { patch(id, wanted, "eve"); });
            assertDeclined("not_an_approver",
                           [&] { commands::deleteStage(*_engine, id, {}, {.name = "eve"}); });
        };
        waitFor([&] { return status(made) == Status::AwaitingApproval; });
        refused();
        patch(id, Status::Failure, "eve");
        waitForEnd(made, Status::Failure);
        assertDeclined("not_an_approver", [&] { patch(id, Status::Success, "eve"); });
        assertDeclined("not_an_approver",
                       [&] { commands::deleteStage(*_engine, id, {}, {.name = "eve"}); });

        // Before its turn has come, too.
        const auto holder = submit("timeout: 1h");
        waitFor([&] { return _runner.runs(stagesOfRun(holder)[0]); });
        const auto queued = submit("approval: {required: true, by: [ada]}");
        const auto waiting = stagesOfRun(queued)[0];
        for (const auto wanted : {Status::InProgress, Status::Success})
            assertDeclined("not_an_approver", [&] { patch(waiting, wanted, "eve"); });
        patch(waiting, Status::InProgress, "ada");
        waitFor([&] { return _runner.runs(waiting); });
    }

private:
    std::string submit(const std::string& more)
    {
        return EngineFixture::submit(
            "stages: [{type: DEPLOY_PROD, plugin: shell, with: {command: x}, " + more + "}]");
    }

    void patch(const std::string& stageId, Status wanted, const std::string& who)
    {
        commands::patchStage(*_engine, stageId, {.status = wanted, .actor = who});
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ApprovalsTest);

} // namespace agent
