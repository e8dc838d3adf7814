#include "tests/support/AccessFixture.h"
#include "tests/support/ForgeApi.h"
#include "tests/support/GitHttpServer.h"
#include "tests/support/Program.h"
#include "tests/support/Targets.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <filesystem>
#include <mutex>

using agent::test::AccessFixture;
using agent::test::ForgeApi;
using agent::test::Received;
using agent::test::Receiver;
using agent::test::waitFor;
using agent::test::writeTarget;

/// The outcome beside the commit: docs/outbox.md, "Commit statuses".
class CommitStatusTest: public CppUnit::TestFixture, private AccessFixture
{
    CPPUNIT_TEST_SUITE(CommitStatusTest);
    CPPUNIT_TEST(testEachForgeShowsARunBesideItsCommit);
    CPPUNIT_TEST(testAFailureIsToldInWords);
    CPPUNIT_TEST(testAStoppedRunIsNoFailureOfTheCommit);
    CPPUNIT_TEST(testEachStageMayHaveAStatus);
    CPPUNIT_TEST(testWhatIsNotTheForgesIsNotSent);
    CPPUNIT_TEST(testStatusesArriveOverOutagesLimitsAndKills);
    CPPUNIT_TEST(testWhatAForgeRefusesHoldsUpNothing);
    CPPUNIT_TEST(testAnOlderRunDoesNotOverwriteANewerOne);
    CPPUNIT_TEST(testThePasswordOfARepositoryIsInNoReport);
    CPPUNIT_TEST(testTheStageThatFindsTheCommitHasAStatus);
    CPPUNIT_TEST_SUITE_END();

public:
    void testEachForgeShowsARunBesideItsCommit()
    {
        ForgeApi github("github");
        ForgeApi gitlab("gitlab");
        ForgeApi gitea("gitea");
        for (const auto& [type, forge] : std::map<std::string, ForgeApi*>{
                 {"github", &github}, {"gitlab", &gitlab}, {"gitea", &gitea}})
            target(type, *forge);
        writePayment("true");
        _daemon.set("http.public_url", "https://ci.example.org/agent/");
        _daemon.start();
        const std::string run = submit();
        awaitState(github, "stage-agent/payment", "pending success");
        awaitState(gitlab, "stage-agent/payment", "pending running success");
        awaitState(gitea, "stage-agent/payment", "pending success");
        for (const auto* forge : {&github, &gitlab, &gitea})
        {
            for (const auto& one : forge->shown())
            {
                CPPUNIT_ASSERT_EQUAL(commit, one.commit);
                CPPUNIT_ASSERT_EQUAL("https://ci.example.org/agent/#/runs/" + run, one.link);
            }
            CPPUNIT_ASSERT_EQUAL(std::string("queued"), forge->shown().front().description);
            CPPUNIT_ASSERT_MESSAGE(forge->shown().back().description,
                                   forge->shown().back().description.starts_with("passed in "));
        }
        awaitEmpty();
        CPPUNIT_ASSERT(_daemon.output().find(ForgeApi::token) == std::string::npos);
        CPPUNIT_ASSERT(_daemon.get("/api/outbox").body.find(ForgeApi::token) == std::string::npos);
    }

    void testAFailureIsToldInWords()
    {
        ForgeApi forge("github");
        target("github", forge);
        writePayment("exit 3");
        _daemon.start();
        submit();
        awaitState(forge, "stage-agent/payment", "pending failure");
        CPPUNIT_ASSERT_MESSAGE(
            forge.shown().back().description,
            forge.shown().back().description.starts_with("BUILD: failed after "));
    }

    void testAStoppedRunIsNoFailureOfTheCommit()
    {
        ForgeApi github("github");
        ForgeApi gitlab("gitlab");
        target("github", github);
        target("gitlab", gitlab);
        writePayment("sleep 977");
        _daemon.start();
        const std::string run = submit();
        _daemon.waitForStage(_daemon.stagesOf(run).front(), "IN_PROGRESS");
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + run + "/stop").status);
        awaitState(github, "stage-agent/payment", "pending error");
        awaitState(gitlab, "stage-agent/payment", "pending running canceled");
        CPPUNIT_ASSERT_MESSAGE(
            gitlab.shown().back().description,
            gitlab.shown().back().description.starts_with("BUILD: stopped after "));
    }

    void testEachStageMayHaveAStatus()
    {
        ForgeApi forge("gitea");
        target("gitea", forge, "context: stage\n");
        _daemon.writeService(
            "payment", "name: payment\nrepository: http://127.0.0.1/acme/payment.git\nstages:\n"
                       "  - { type: BUILD, plugin: shell, with: { command: 'true' } }\n"
                       "  - { type: UNIT_TEST, name: Unit tests, plugin: shell, with: { command: "
                       "exit 3 } }\n");
        _daemon.start();
        submit();
        awaitState(forge, "stage-agent/payment/BUILD", "pending success");
        awaitState(forge, "stage-agent/payment/Unit tests", "pending failure");
        CPPUNIT_ASSERT_MESSAGE(forge.shown().back().description,
                               forge.shown().back().description.starts_with(
                                   "Unit tests: failed with exit code 3 after "));
        CPPUNIT_ASSERT_EQUAL(std::string(), forge.states("stage-agent/payment"));
    }

    void testWhatIsNotTheForgesIsNotSent()
    {
        ForgeApi forge("gitea");
        target("gitea", forge, "hosts: [git.example.org]\n");
        _daemon.writeService(
            "other", "name: other\nrepository: https://127.0.0.1/acme/payment.git\nstages:\n"
                     "  - { type: BUILD, plugin: shell, with: { command: 'true' } }\n");
        _daemon.writeService("payment",
                             "name: payment\nrepository: git@GIT.example.org:acme/payment.git\n"
                             "stages:\n"
                             "  - { type: BUILD, plugin: shell, with: { command: 'true' } }\n");
        _daemon.start();
        const auto ended = [&](const std::string& body)
        {
            const auto made = _daemon.post("/api/runs", body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
            _daemon.waitForRun(made.json()["id"].GetString(), "SUCCESS");
        };
        ended(R"({"service":"other","commit":")" + commit + R"("})");
        ended(R"({"service":"payment","branch":"main"})"); // which commit that is nobody says
        awaitEmpty();
        CPPUNIT_ASSERT(forge.receiver.all().empty());
        submit();
        awaitState(forge, "stage-agent/payment", "pending success");
    }

    void testStatusesArriveOverOutagesLimitsAndKills()
    {
        std::atomic<bool> down = true;
        std::atomic<int> asked = 0;
        const auto trouble = [&](const Received&) -> int
        {
            if (down)
                return Receiver::hangUp;
            const int one = asked++ % 5;
            return one == 0 ? 403 : one == 2 ? 502 : one == 4 ? Receiver::hangUp : 0;
        };
        ForgeApi github("github", trouble);
        ForgeApi gitlab("gitlab", trouble);
        for (ForgeApi* forge : {&github, &gitlab})
            forge->receiver.headers["Retry-After"] = "1";
        target("github", github);
        target("gitlab", gitlab);
        writePayment("true");
        _daemon.start();
        _daemon.waitForRun(submit(), "SUCCESS");
        _daemon.kill();
        _daemon.start();
        down = false;
        awaitState(github, "stage-agent/payment", "pending success");
        _daemon.kill(); // what was confirmed may not be recorded yet, and is sent again
        _daemon.start();
        awaitState(gitlab, "stage-agent/payment", "pending running success");
        awaitEmpty();
        CPPUNIT_ASSERT_EQUAL(std::string("success"), github.shown().back().state);
        CPPUNIT_ASSERT(_daemon.output().find("refuses a report") == std::string::npos);
    }

    void testWhatAForgeRefusesHoldsUpNothing()
    {
        std::atomic<int> answer = 422; // as GitHub does for a commit that it does not have
        ForgeApi forge("github", [&](const Received&) { return answer.load(); });
        target("github", forge);
        writePayment("true");
        _daemon.start();
        for (const int status : {422, 404, 410, 301})
        {
            answer = status;
            _daemon.waitForRun(submit(), "SUCCESS");
            awaitEmpty();
        }
        CPPUNIT_ASSERT(forge.shown().empty());
        CPPUNIT_ASSERT(_daemon.output().find("github refuses a report of run ") !=
                       std::string::npos);
        answer = 0; // 410 was about the repository
        submit();
        awaitState(forge, "stage-agent/payment", "pending success");
    }

    /// Symptom: the late retry of a run's status stood in place of that of the newer run of the same commit.
    void testAnOlderRunDoesNotOverwriteANewerOne()
    {
        std::atomic<bool> fails = true; // whatever the first run is
        std::mutex mutex;
        std::string first; // guarded by mutex
        const auto trouble = [&](const Received& one)
        {
            const std::lock_guard lock(mutex);
            return fails && (first.empty() || one.body.find(first) != std::string::npos) ? 500 : 0;
        };
        ForgeApi forge("gitea", trouble);
        target("gitea", forge);
        writePayment("true");
        _daemon.start();
        const std::string made = submit();
        {
            const std::lock_guard lock(mutex);
            first = made;
        }
        _daemon.waitForRun(made, "SUCCESS");
        waitFor("a failure", [&] { return !forge.receiver.all().empty(); });
        const std::string second = submit();
        const auto told = [&]
        {
            const auto all = forge.shown();
            return !all.empty() && all.back().state == "success" &&
                   all.back().link.find(second) != std::string::npos;
        };
        waitFor("the second run's status", told, 60);
        fails = false;
        awaitEmpty();
        CPPUNIT_ASSERT(told());
    }

    void testThePasswordOfARepositoryIsInNoReport()
    {
        Receiver receiver;
        writeTarget(_daemon, "all", receiver.url());
        _daemon.writeService(
            "payment",
            "name: payment\nrepository: https://ada:s3cret-pw@127.0.0.1/acme/payment.git\n"
            "stages: [{ type: BUILD, plugin: shell, with: { command: 'true' } }]\n");
        _daemon.start();
        _daemon.waitForRun(submit(), "SUCCESS");
        waitFor("the reports", [&] { return receiver.all().size() == 5; });
        for (const auto& one : receiver.all())
        {
            CPPUNIT_ASSERT_MESSAGE(one.body, one.body.find("s3cret-pw") == std::string::npos);
            CPPUNIT_ASSERT_MESSAGE(one.body,
                                   one.body.find("https://***@127.0.0.1/acme/payment.git") !=
                                       std::string::npos);
        }
    }

    /// Symptom: a run that was started by branch had no status of its first stage. Cause: the stage's report was written
    /// before the run had its commit.
    void testTheStageThatFindsTheCommitHasAStatus()
    {
        ForgeApi forge("gitea");
        target("gitea", forge, "context: stage\n");
        const auto root = _daemon.folder() / "git";
        const std::string bare = (root / "acme/payment.git").string();
        const std::string clone = (root / "clone").string();
        std::filesystem::create_directories(clone);
        const auto git = [&](std::vector<std::string> words)
        {
            std::vector<std::string> line{"/usr/bin/git",
                                          "-C",
                                          clone,
                                          "-c",
                                          "user.name=Ada",
                                          "-c",
                                          "user.email=ada@example.org"};
            line.insert(line.end(), words.begin(), words.end());
            const auto ended = agent::test::runProgram(
                line, _daemon.folder(), {{"GIT_CONFIG_NOSYSTEM", "1"}, {"HOME", "/"}});
            CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
            return ended.out.substr(0, ended.out.find('\n'));
        };
        git({"init", "-q", "--bare", "-b", "main", bare});
        git({"init", "-q", "-b", "main"});
        git({"commit", "-q", "--allow-empty", "-m", "a change"});
        git({"push", "-q", bare, "main"});
        git({"--git-dir", bare, "update-server-info"});
        const std::string found = git({"rev-parse", "HEAD"});
        GitHttpServer server(root);
        _daemon.writeService("payment",
                             "name: payment\nrepository: " + server.url("", "acme/payment.git") +
                                 "\nstages: [{ type: PREPARE, plugin: git }]\n");
        _daemon.start();
        const auto made = _daemon.post("/api/runs", R"({"service":"payment","branch":"main"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        _daemon.waitForRun(made.json()["id"].GetString(), "SUCCESS");
        awaitState(forge, "stage-agent/payment/PREPARE", "success");
        CPPUNIT_ASSERT_EQUAL(found, forge.shown().back().commit);
    }

private:
    const std::string commit = "5c0ffee5c0ffee5c0ffee5c0ffee5c0ffee5c0ff";

    void target(const std::string& type, const ForgeApi& forge, const std::string& more = "")
    {
        _daemon.writeSecret("TOKEN", std::string(ForgeApi::token) + "\n");
        writeTarget(_daemon, type, forge.url(), "token: TOKEN\n" + more, type);
    }

    void writePayment(const std::string& command)
    {
        _daemon.writeService(
            "payment", "name: payment\nrepository: http://127.0.0.1/acme/payment.git\nstages:\n"
                       "  - { type: BUILD, plugin: shell, with: { command: '" +
                           command + "' } }\n");
    }

    std::string submit()
    {
        const auto made = _daemon.post(
            "/api/runs", R"({"service":"payment","branch":"main","commit":")" + commit + R"("})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["id"].GetString();
    }

    static void awaitState(const ForgeApi& forge, const std::string& context,
                           const std::string& states)
    {
        waitFor(
            "the states " + states + " of " + context,
            [&] { return forge.states(context) == states; }, 60);
    }

    void awaitEmpty()
    {
        waitFor(
            "an empty outbox", [&] { return _daemon.get("/api/outbox").json()["reports"].Empty(); },
            60);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CommitStatusTest);
