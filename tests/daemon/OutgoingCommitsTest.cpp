// What an approval sends out: docs/conditions.md.
#include "tests/support/Program.h"
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fstream>

using agent::test::Answer;
using agent::test::Daemon;
using agent::test::Ended;
using agent::test::listOf;
using agent::test::shell;
using agent::test::waitFor;

class OutgoingCommitsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(OutgoingCommitsTest);
    CPPUNIT_TEST(testTheCommitsSinceTheLastOneThatWentOutAreListed);
    CPPUNIT_TEST(testTheyAreListedWhereTheApprovalStandsInTheRepository);
    CPPUNIT_TEST(testWithoutACheckoutTheRunsOwnCommitIsListed);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTheCommitsSinceTheLastOneThatWentOutAreListed()
    {
        const auto origin = _daemon.folder() / "origin";
        std::filesystem::create_directories(origin);
        git("init --quiet --initial-branch=main");
        commit("one");
        _daemon.writeService("shop",
                             "name: shop\nbranch: main\nrepository: " + origin.string() +
                                 "\nstages:\n  - { type: PREPARE, plugin: git }\n"
                                 "  - { type: DEPLOY_PROD, plugin: shell, approval: required, "
                                 "with: { command: env } }\n");
        _daemon.start();

        const std::string first = waiting();
        CPPUNIT_ASSERT_EQUAL(std::string("since null, incomplete: one"), outgoing(first));
        const Ended approved = agent::test::runProgram(
            {STAGE_AGENT_BIN_DIR "/stagectl", "--agent", _daemon.url(), "approve", first},
            _daemon.folder());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(approved.err, 0, approved.exitCode);
        assertHas(approved.out, "the first to go out");
        assertHas(approved.out, " one\n");
        _daemon.waitForRun(first, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("nothing waits"), outgoing(first));
        // They are for people, not for the environment of a stage.
        CPPUNIT_ASSERT(_daemon.log(_daemon.stagesOf(first)[1]).find("OUTPUT_RECENT") ==
                       std::string::npos);

        commit("two");
        commit("three <b>");
        const std::string second = waiting();
        CPPUNIT_ASSERT_EQUAL("since " + first + ", complete: three <b>, two", outgoing(second));
        CPPUNIT_ASSERT_EQUAL(
            200,
            _daemon.patch("/api/stages/" + _daemon.stagesOf(second)[1], R"({"status":"FAILURE"})")
                .status);

        commit("four");
        const std::string third = waiting();
        CPPUNIT_ASSERT_EQUAL("since " + first + ", complete: four, three <b>, two",
                             outgoing(third));
        CPPUNIT_ASSERT_EQUAL(200,
                             _daemon.post("/api/runs/" + third + "/approve-deployment").status);
        _daemon.waitForRun(third, "SUCCESS");

        const std::string again = waiting(); // the same commit once more
        CPPUNIT_ASSERT_EQUAL("since " + third + ", complete: ", outgoing(again));
    }

    /// PREPARE was told to fetch them only where the service itself had an approval.
    void testTheyAreListedWhereTheApprovalStandsInTheRepository()
    {
        const auto origin = _daemon.folder() / "origin";
        std::filesystem::create_directories(origin);
        git("init --quiet --initial-branch=main");
        std::ofstream(origin / ".stage-agent.yaml")
            << "stages:\n  - { type: DEPLOY_PROD, plugin: shell, approval: required, "
               "with: { command: 'true' } }\n";
        git("add -A");
        commit("one");
        _daemon.writeService("shop", "name: shop\nbranch: main\nrepository: " + origin.string() +
                                         "\npipeline: .stage-agent.yaml\n");
        _daemon.start();
        const std::string first = waiting();
        CPPUNIT_ASSERT_EQUAL(200,
                             _daemon.post("/api/runs/" + first + "/approve-deployment").status);
        _daemon.waitForRun(first, "SUCCESS");
        commit("two");
        commit("three");
        CPPUNIT_ASSERT_EQUAL("since " + first + ", complete: three, two", outgoing(waiting()));
    }

    void testWithoutACheckoutTheRunsOwnCommitIsListed()
    {
        _daemon.start();
        const Answer made = _daemon.post(
            "/api/runs", R"({"pipeline":)" +
                             _daemon.pipeline(listOf({shell("true", R"("approval":"required")")})) +
                             R"(,"commit":"abc","commitMessage":"By hand\nand more"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        const std::string run = made.json()["id"].GetString();
        _daemon.waitForRun(run, "AWAITING_APPROVAL");
        CPPUNIT_ASSERT_EQUAL(std::string("since null, incomplete: By hand"), outgoing(run));
        CPPUNIT_ASSERT_EQUAL(
            404,
            _daemon.get("/api/runs/11111111-1111-4111-8111-111111111111/outgoing-commits").status);
    }

private:
    static void assertHas(const std::string& text, const std::string& part)
    {
        CPPUNIT_ASSERT_MESSAGE("'" + part + "' is not in:\n" + text,
                               text.find(part) != std::string::npos);
    }

    void git(const std::string& arguments) const
    {
        const std::string command = "git -C " + (_daemon.folder() / "origin").string() +
                                    " -c user.name=Ada -c user.email=ada@example.org " + arguments;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(command, 0, std::system(command.c_str()));
    }

    void commit(const std::string& message) const
    {
        git("commit --quiet --allow-empty -m '" + message + "'");
    }

    /// A run that has come to its approval.
    std::string waiting() const
    {
        const std::string run = _daemon.submitService("shop");
        _daemon.waitForRun(run, "AWAITING_APPROVAL");
        return run;
    }

    /// What the API lists, in words.
    std::string outgoing(const std::string& run) const
    {
        const auto list = _daemon.get("/api/runs/" + run + "/outgoing-commits").json();
        if (list["stageId"].IsNull())
            return "nothing waits";
        std::string words =
            "since " +
            std::string(list["sinceRunId"].IsNull() ? "null" : list["sinceRunId"].GetString()) +
            (list["complete"].GetBool() ? ", complete: " : ", incomplete: ");
        bool more = false;
        for (const auto& each : list["commits"].GetArray())
            words +=
                (std::exchange(more, true) ? ", " : "") + std::string(each["subject"].GetString());
        return words;
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(OutgoingCommitsTest);
