// Who is given what another service made, and which of it: docs/artifacts.md, "What another service made".
#include "tests/support/NeedsFixture.h"

#include <cppunit/extensions/HelperMacros.h>

using agent::test::Answer;
using agent::test::GitOrigin;

namespace fs = std::filesystem;

class NeedsRightsTest: public agent::test::NeedsFixture
{
    CPPUNIT_TEST_SUITE(NeedsRightsTest);
    CPPUNIT_TEST(testARunThatFailedOffersNothing);
    CPPUNIT_TEST(testABranchThatIsOnlyClaimedOffersNothing);
    CPPUNIT_TEST(testAPullRequestOffersNothing);
    CPPUNIT_TEST(testTheNewestIsOfTheRunThatWasCreatedLast);
    CPPUNIT_TEST(testAnInlinePipelineHasNone);
    CPPUNIT_TEST(testAFileOfTheRepositoryHasWhatItsServiceAllows);
    CPPUNIT_TEST(testForksGetNothingByAFile);
    CPPUNIT_TEST(testTheCheckTellsWhatIsDoubtful);
    CPPUNIT_TEST_SUITE_END();

public:
    void testARunThatFailedOffersNothing()
    {
        lib("  - {type: OTHER, plugin: shell, with: {command: 'test -z \"$BAD\"'}}\n");
        app("cat vendor/lib/dist/a");
        _daemon->start();
        const std::string failed = ran("lib", R"("env":{"BAD":"1","N":"1"})", "FAILURE");
        lacks("app");
        // Accepted by hand is not made by the command: the other stage's are offered, as the run is a success.
        CPPUNIT_ASSERT_EQUAL(
            200,
            _daemon->patch("/api/stages/" + _daemon->stagesOf(failed)[1], R"({"status":"SUCCESS"})")
                .status);
        _daemon->waitForRun(failed, "SUCCESS");
        CPPUNIT_ASSERT(has(_daemon->log(_daemon->stagesOf(ran("app"))[0]), "made by 1\n"));
    }

    void testABranchThatIsOnlyClaimedOffersNothing()
    {
        const std::string evil = libOfARepository();
        app("cat vendor/lib/dist/a");
        _daemon->start();
        ran("lib", R"("branch":"main","commit":")" + evil + "\"");
        lacks("app");
        ran("lib", R"("branch":"evil")");
        lacks("app");
        ran("lib", R"("branch":"main")");
        CPPUNIT_ASSERT(has(_daemon->log(_daemon->stagesOf(ran("app"))[0]), "\ngood\n"));
        // A newer one that claims to be of it takes no place.
        ran("lib", R"("branch":"main","commit":")" + evil + "\"");
        const std::string run = ran("app");
        CPPUNIT_ASSERT(has(_daemon->log(_daemon->stagesOf(run)[0]), "\ngood\n"));
        const auto set = _daemon->get("/api/stages/" + _daemon->stagesOf(run)[0]).json();
        CPPUNIT_ASSERT_EQUAL(_origin->git("rev-parse main"),
                             std::string(set["needs"][0]["commitHash"].GetString()));
        // A commit of the branch is proved, be it named.
        ran("lib", R"("branch":"main","commit":")" + _origin->git("rev-parse main") + "\"");
        const auto named = _daemon->get("/api/stages/" + _daemon->stagesOf(ran("app"))[0]).json();
        CPPUNIT_ASSERT(std::string(set["needs"][0]["runId"].GetString()) !=
                       named["needs"][0]["runId"].GetString());
    }

    void testAPullRequestOffersNothing()
    {
        const std::string evil = libOfARepository();
        app("true");
        _daemon->start();
        ran("lib", R"("branch":"main","triggerType":"PR_OPEN","pullNumber":7)");
        lacks("app");
        _origin->git("update-ref refs/pull/7/head evil");
        ran("lib", R"("fork":true,"pullNumber":7,"triggerType":"PR_OPEN","baseBranch":"main",)"
                   R"("commit":")" +
                       evil + "\"");
        lacks("app");
    }

    void testTheNewestIsOfTheRunThatWasCreatedLast()
    {
        lib("", "concurrency: 2\n",
            "while [ -n \"$GO\" ] && [ ! -e \"$GO\" ]; do sleep 0.05; done");
        app("cat vendor/lib/dist/a");
        _daemon->set("executor.slots", "3");
        _daemon->start();
        const fs::path go = _daemon->folder() / "go";
        const std::string slow = start("lib", R"("env":{"N":"1","GO":")" + go.string() + "\"}");
        ran("lib", R"("env":{"N":"2"})");
        std::ofstream(go) << "go";
        _daemon->waitForRun(slow, "SUCCESS");
        CPPUNIT_ASSERT(has(_daemon->log(_daemon->stagesOf(ran("app"))[0]), "made by 2\n"));
    }

    void testAnInlinePipelineHasNone()
    {
        lib();
        _daemon->start();
        ran("lib");
        const Answer answer = _daemon->post(
            "/api/runs", R"({"pipeline":)" +
                             _daemon->pipeline(
                                 R"([{"type":"BUILD","plugin":"shell","with":{"command":"true"},)"
                                 R"("needs":[{"service":"lib","artifacts":"dist","to":"lib"}]}])") +
                             "}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 400, answer.status);
        CPPUNIT_ASSERT_MESSAGE(answer.body, has(answer.body, "stages[0].needs") &&
                                                has(answer.body, "an inline pipeline has none"));
    }

    void testAFileOfTheRepositoryHasWhatItsServiceAllows()
    {
        lib();
        _daemon->writeService("secret-lib", libText("secret-lib"));
        _origin = std::make_unique<GitOrigin>(_daemon->folder() / "origin");
        pipelineFile("lib");
        fromFile("app", "");
        fromFile("open", "allow: {needs: [lib]}\n");
        _daemon->start();
        ran("lib", R"("env":{"N":"1"})");
        ran("secret-lib", R"("env":{"N":"2"})");
        refused(ran("app", "", "FAILURE"), "the service does not allow this file to need 'lib'");
        std::string run = ran("open");
        CPPUNIT_ASSERT(has(_daemon->log(_daemon->stagesOf(run)[1]), "made by 1\n"));
        // A pull request's file is what its author wrote.
        _origin->git("checkout -q -b mine");
        pipelineFile("secret-lib");
        refused(ran("open",
                    R"("triggerType":"PR_OPEN","pullNumber":3,"commit":")" +
                        _origin->git("rev-parse HEAD") + "\"",
                    "FAILURE"),
                "does not allow this file to need 'secret-lib'");
    }

    void testForksGetNothingByAFile()
    {
        if (!agent::test::canSandbox())
            return;
        lib();
        _origin = std::make_unique<GitOrigin>(_daemon->folder() / "origin");
        pipelineFile("lib");
        _origin->git("checkout -q -b proposed");
        const std::string commit = _origin->commit("code", "of the fork");
        _origin->git("update-ref refs/pull/7/head proposed");
        _origin->git("checkout -q main");
        fromFile("open", "forks: allow\nallow: {needs: [lib]}\n");
        // Where the administrator has written it in the service's own file, it is meant for them too.
        app("cat vendor/lib/dist/a", "", "vendor/lib",
            "forks: allow\nrepository: " + _origin->path().string() + "\nbranch: main\n", true);
        _daemon->set("isolation.default", "sandbox");
        _daemon->start();
        ran("lib", R"("env":{"N":"1"})");
        const std::string fork =
            R"("fork":true,"pullNumber":7,"triggerType":"PR_OPEN","baseBranch":"main","commit":")" +
            commit + "\"";
        refused(ran("open", fork, "FAILURE"), "is for no run of a fork's pull request");
        const std::string run = ran("app", fork);
        CPPUNIT_ASSERT(has(_daemon->log(_daemon->stagesOf(run)[1]), "made by 1\n"));
    }

    void testTheCheckTellsWhatIsDoubtful()
    {
        lib();
        _daemon->writeService("app",
                              service("app", "true", "{service: gone, artifacts: dist, to: x}"));
        _daemon->writeService("typo",
                              service("typo", "true", "{service: lib, artifacts: dits, to: x}"));
        std::string said;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(said, 0, _daemon->runToEnd({"--check"}, said));
        CPPUNIT_ASSERT_MESSAGE(said,
                               has(said, "app.yaml:4: stages[0].needs[0]: there is no service "
                                         "'gone' (yet)"));
        CPPUNIT_ASSERT_MESSAGE(said,
                               has(said, "the service 'lib' keeps no artifacts called 'dits'; "
                                         "it keeps: dist"));
        for (const auto& [needs, wanted] :
             {std::pair("{service: lib, artifacts: dist, to: ../x}",
                        "must not have an empty part, '.' or '..'"),
              std::pair("{service: lib, artifacts: dist, to: /x}",
                        "must be a folder of the workspace"),
              std::pair("{service: lib, artifacts: dist, to: .git/hooks}", "must not be in .git"),
              std::pair("{service: lib, artifacts: dist, to: .}", "must not have an empty part"),
              std::pair("{service: lib, artifacts: dist, to: .stage-agent-restore}",
                        "must not begin with .stage-agent"),
              std::pair("{service: lib, artifacts: dist, to: a}, {service: lib, artifacts: dist, "
                        "to: a/b}",
                        "one is in the other"),
              std::pair("{service: lib, to: a}", "artifacts"),
              std::pair("{artifacts: dist, to: a}", "service"),
              std::pair("{service: lib, artifacts: dist, too: a}", "too")})
        {
            _daemon->writeService("app", service("app", "true", needs));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(needs, 78, _daemon->runToEnd({"--check"}, said));
            CPPUNIT_ASSERT_MESSAGE(said, has(said, wanted));
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(NeedsRightsTest);
