// Every verb of stagectl, as a process, against the real daemon.
#include "tests/support/Daemon.h"
#include "tests/support/Program.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>

using agent::test::Answer;
using agent::test::Daemon;
using agent::test::Ended;
using agent::test::runProgram;
using agent::test::waitFor;

namespace
{

const std::string nobody = "00000000-0000-4000-8000-000000000000";

void assertHas(const std::string& text, const std::string& part)
{
    CPPUNIT_ASSERT_MESSAGE("'" + part + "' is not in:\n" + text,
                           text.find(part) != std::string::npos);
}

rapidjson::Document parsed(const std::string& text)
{
    rapidjson::Document document;
    document.Parse(text);
    CPPUNIT_ASSERT_MESSAGE("no JSON document: " + text, !document.HasParseError());
    return document;
}

} // namespace

class StagectlTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagectlTest);
    CPPUNIT_TEST(testRunFollowedShowsItsLogsAndEndsAsTheRunDoes);
    CPPUNIT_TEST(testFollowWithJsonPrintsOneDocument);
    CPPUNIT_TEST(testRunPrintsTheIdAndForwardsItsOptions);
    CPPUNIT_TEST(testIdempotencyKeyGivesTheSameRun);
    CPPUNIT_TEST(testRunsFiltersAndStagesKeepsTheOrder);
    CPPUNIT_TEST(testStageShowsItsDetail);
    CPPUNIT_TEST(testLogsWholeTailRawAttemptAndFollow);
    CPPUNIT_TEST(testPatchEndsAStuckStageAndChecksTheVersion);
    CPPUNIT_TEST(testRetryGoesOnInTheSameRunAndIsInTheHistory);
    CPPUNIT_TEST(testSkipsOnlyStagesThatHaveNotStarted);
    CPPUNIT_TEST(testApproveLetsTheDeploymentGoOn);
    CPPUNIT_TEST(testRejectTakesARunOrAStage);
    CPPUNIT_TEST(testStopSaysHowManyAndRerunGivesANewId);
    CPPUNIT_TEST(testServicesPluginsAndAgentAreListed);
    CPPUNIT_TEST(testDrainRefusesNewRunsAndShowsInHealth);
    CPPUNIT_TEST(testDeleteTakesARunOrAStage);
    CPPUNIT_TEST(testJsonIsOneDocumentForEachVerb);
    CPPUNIT_TEST(testAPrefixIdentifiesARunOrStage);
    CPPUNIT_TEST(testExitCodesDistinguishCauses);
    CPPUNIT_TEST(testAddressComesFromTheEnvironmentOrTheFile);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        service("good", "echo prepared", "echo built");
        service("bad", "echo broken; exit 3", "true");
        service("slow", "echo going; sleep 971", "true");
        service("tells", "echo \"$GREETING $BRANCH\"", "true");
        service("flaky", "echo try $STAGE_ATTEMPT; test $STAGE_ATTEMPT = 2", "true");
        _daemon.writeService("gate",
                             "name: gate\nstages:\n"
                             "  - { type: BUILD, plugin: shell, with: { command: 'true' } }\n"
                             "  - { type: DEPLOY_PROD, plugin: shell, approval: required,\n"
                             "      with: { command: echo deployed } }\n");
        _daemon.start();
    }

    void testRunFollowedShowsItsLogsAndEndsAsTheRunDoes()
    {
        const Ended good = done({"run", "good", "--follow"});
        assertHas(good.out, "PREPARE | prepared\n");
        assertHas(good.out, "BUILD SUCCESS in ");
        assertHas(good.out, "run SUCCESS in ");
        CPPUNIT_ASSERT(good.out.find("prepared") < good.out.find("built"));
        const Ended bad = refused(1, {"run", "bad", "-f"});
        assertHas(bad.out, "PREPARE | broken\n");
        assertHas(bad.out, "PREPARE FAILURE");
        assertHas(bad.out, "EXIT 3");
        assertHas(bad.out, "run FAILURE");
    }

    void testFollowWithJsonPrintsOneDocument()
    {
        const Ended ended = done({"run", "good", "--follow", "--json"});
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"),
                             std::string(parsed(ended.out)["status"].GetString()));
        assertHas(ended.err, "BUILD | built");
    }

    void testRunPrintsTheIdAndForwardsItsOptions()
    {
        const std::string run =
            started({"run", "tells", "--branch", "side", "--env", "GREETING=hello = you",
                     "--priority", "3", "--message", "by hand", "--commit", "0123456789abcdef"});
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("hello = you side\n"),
                             _daemon.log(_daemon.stagesOf(run)[0]));
        const auto shown = _daemon.get("/api/runs/" + run).json();
        CPPUNIT_ASSERT_EQUAL(std::string("by hand"),
                             std::string(shown["commitMessage"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("0123456789abcdef"),
                             std::string(shown["commitHash"].GetString()));
    }

    void testIdempotencyKeyGivesTheSameRun()
    {
        const std::string first = started({"run", "good", "--idempotency-key", "once"});
        CPPUNIT_ASSERT_EQUAL(first, started({"run", "good", "--idempotency-key", "once"}));
        assertHas(refused(5, {"run", "bad", "--idempotency-key", "once"}).err, "409");
    }

    void testRunsFiltersAndStagesKeepsTheOrder()
    {
        const std::string bad = ended("bad", "FAILURE");
        const std::string good = ended("good", "SUCCESS");
        const std::string all = done({"runs"}).out;
        CPPUNIT_ASSERT_MESSAGE(all, all.find(good) < all.find(bad));
        const auto only = [&](const std::vector<std::string>& options, const std::string& there,
                              const std::string& absent)
        {
            std::vector<std::string> arguments{"runs"};
            arguments.insert(arguments.end(), options.begin(), options.end());
            const std::string out = done(arguments).out;
            assertHas(out, there);
            CPPUNIT_ASSERT_MESSAGE(out, out.find(absent) == std::string::npos);
        };
        only({"--status", "failure"}, bad, good);
        only({"--service", "good"}, good, bad);
        only({"--limit", "1"}, good, bad);
        const std::string stages = done({"stages", good}).out;
        for (const std::string& id : _daemon.stagesOf(good))
            assertHas(stages, id);
        CPPUNIT_ASSERT(stages.find("PREPARE") < stages.find("BUILD"));
    }

    void testStageShowsItsDetail()
    {
        const std::string run = ended("bad", "FAILURE");
        const std::string out = done({"stage", _daemon.stagesOf(run)[0]}).out;
        for (const char* part : {"exitCode", "3", "cause", "EXIT", "plugin", "shell", run.c_str()})
            assertHas(out, part);
    }

    void testLogsWholeTailRawAttemptAndFollow()
    {
        service("lines", R"(printf 'one\ntwo\n\033]0;title\007three\n')", "true");
        service("late", "for i in 1 2 3 4; do echo line $i; sleep 0.2; done", "true");
        reload("lines");
        const std::string stage = _daemon.stagesOf(ended("lines", "SUCCESS"))[0];
        const std::string shown = done({"logs", stage}).out;
        CPPUNIT_ASSERT_MESSAGE(shown, shown.starts_with("one\ntwo\n\\x1b"));
        CPPUNIT_ASSERT_EQUAL(std::string("one\ntwo\n\x1b]0;title\x07three\n"),
                             done({"logs", stage, "--raw"}).out);
        assertHas(done({"logs", stage, "--tail", "1"}).out, "three\n");
        CPPUNIT_ASSERT_EQUAL(std::string::npos,
                             done({"logs", stage, "--tail", "1"}).out.find("two"));
        CPPUNIT_ASSERT_EQUAL(shown, done({"logs", stage, "--attempt", "1"}).out);
        assertHas(refused(3, {"logs", stage, "--attempt", "2"}).err, "there is only attempt 1 (");

        const std::string late = _daemon.stagesOf(started({"run", "late"}))[0];
        CPPUNIT_ASSERT_EQUAL(std::string("line 1\nline 2\nline 3\nline 4\n"),
                             done({"logs", late, "--follow"}).out);
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _daemon.detail(late, "status"));
    }

    void testPatchEndsAStuckStageAndChecksTheVersion()
    {
        const std::string run = started({"run", "slow"});
        const std::string stage = _daemon.stagesOf(run)[0];
        _daemon.waitForStage(stage, "IN_PROGRESS");
        refused(2, {"patch", stage, "failure"}); // a reason is not optional
        assertHas(
            refused(5, {"patch", stage, "failure", "--reason", "hangs", "--if-match", "999"}).err,
            "412");
        done({"patch", stage, "failure", "--reason", "hangs"});
        CPPUNIT_ASSERT_EQUAL(std::string("OPERATOR"), _daemon.detail(stage, "cause"));
        assertHas(done({"history", stage}).out, "hangs");
        const std::string version = _daemon.detail(stage, "version");
        done({"patch", stage, "SUCCESS", "--reason", "good enough", "--if-match", version});
        _daemon.waitForRun(run, "SUCCESS");
    }

    void testRetryGoesOnInTheSameRunAndIsInTheHistory()
    {
        const std::string run = ended("flaky", "FAILURE");
        const std::string stage = _daemon.stagesOf(run)[0];
        done({"retry", stage, "--reason", "flaky network"});
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("try 2\n"), done({"logs", stage}).out);
        CPPUNIT_ASSERT_EQUAL(std::string("try 1\n"), done({"logs", stage, "--attempt", "1"}).out);
        assertHas(done({"history", stage}).out, "flaky network");
        assertHas(done({"history", run}).out, stage);
        assertHas(refused(5, {"retry", stage, "--reason", "again"}).err, "SUCCESS");
    }

    void testSkipsOnlyStagesThatHaveNotStarted()
    {
        const std::string run = started({"run", "slow"});
        const auto stages = _daemon.stagesOf(run);
        _daemon.waitForStage(stages[0], "IN_PROGRESS");
        assertHas(refused(5, {"skip", stages[0], "--reason", "x"}).err, "IN_PROGRESS");
        done({"skip", stages[1], "--reason", "not today"});
        CPPUNIT_ASSERT_EQUAL(std::string("SKIPPED"), _daemon.detail(stages[1], "cause"));
        done({"stop", run});
    }

    void testApproveLetsTheDeploymentGoOn()
    {
        const std::string run = started({"run", "gate"});
        _daemon.waitForRun(run, "AWAITING_APPROVAL");
        assertHas(done({"approve", run}).out, "approved");
        _daemon.waitForRun(run, "SUCCESS");
        assertHas(refused(5, {"approve", run}).err, "409");
    }

    void testRejectTakesARunOrAStage()
    {
        const std::string run = started({"run", "gate"});
        _daemon.waitForRun(run, "AWAITING_APPROVAL");
        done({"reject", run, "--reason", "not on a Friday"});
        _daemon.waitForRun(run, "FAILURE");
        const std::string stage = _daemon.stagesOf(run)[1];
        CPPUNIT_ASSERT_EQUAL(std::string("REJECTED"), _daemon.detail(stage, "cause"));
        refused(5, {"reject", stage, "--reason", "again"});
        const std::string other = started({"run", "gate"});
        _daemon.waitForRun(other, "AWAITING_APPROVAL");
        done({"reject", _daemon.stagesOf(other)[1], "--reason", "neither"});
        _daemon.waitForRun(other, "FAILURE");
    }

    void testStopSaysHowManyAndRerunGivesANewId()
    {
        const std::string run = started({"run", "slow"});
        _daemon.waitForRun(run, "IN_PROGRESS");
        refused(5, {"rerun", run});
        assertHas(done({"stop", run}).out, "stopped 1 stage");
        assertHas(done({"stop", run}).out, "had already ended in FAILURE");
        const std::string again = started({"rerun", run});
        CPPUNIT_ASSERT(again != run);
        _daemon.waitForRun(again, "IN_PROGRESS");
        done({"stop", again});
        CPPUNIT_ASSERT_EQUAL(1, stagectl({"rerun", ended("bad", "FAILURE"), "--follow"}).exitCode);
    }

    void testServicesPluginsAndAgentAreListed()
    {
        const std::string services = done({"services"}).out;
        for (const char* name : {"good", "bad", "gate"})
            assertHas(services, name);
        for (const char* name : {"shell", "git", "external"})
            assertHas(done({"plugins"}).out, name);
        assertHas(done({"agent"}).out, "draining");
        assertHas(done({"--version"}).out, "stagectl 0.");
        assertHas(done({"help", "exit-codes"}).out, "Exit codes");
    }

    /// Running runs go on, queued ones wait, new ones are refused.
    void testDrainRefusesNewRunsAndShowsInHealth()
    {
        assertHas(done({"health"}).out, "ready");
        const std::string over = ended("good", "SUCCESS");
        const std::string going = started({"run", "slow"});
        _daemon.waitForRun(going, "IN_PROGRESS");
        const std::string queued = started({"run", "slow"});
        done({"drain"});
        assertHas(refused(7, {"health"}).out, "draining");
        assertHas(done({"agent"}).out, "true");
        const std::string refusal = refused(7, {"run", "good"}).err;
        assertHas(refusal, "draining");
        assertHas(refusal, "stagectl resume");
        CPPUNIT_ASSERT_EQUAL(std::string::npos, refusal.find("try again"));
        const Answer answer = _daemon.post("/api/runs", R"({"service":"good"})");
        CPPUNIT_ASSERT_EQUAL(503, answer.status);
        CPPUNIT_ASSERT(answer.headers.contains("retry-after"));
        assertHas(refused(7, {"rerun", over}).err, "draining");
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.statusOf(going));
        done({"stop", going});
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.statusOf(queued));
        done({"resume"});
        _daemon.waitForRun(queued, "IN_PROGRESS");
        done({"health"});
    }

    void testDeleteTakesARunOrAStage()
    {
        const std::string run = ended("good", "SUCCESS");
        const auto stages = _daemon.stagesOf(run);
        done({"delete", stages[0], "--yes"});
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, _daemon.stagesOf(run).size());
        done({"delete", run, "--yes"});
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get("/api/runs/" + run).status);
        refused(4, {"delete", run, "--yes"});
        const std::string slow = started({"run", "slow"});
        _daemon.waitForRun(slow, "IN_PROGRESS");
        refused(5, {"delete", slow, "--yes"});
    }

    void testJsonIsOneDocumentForEachVerb()
    {
        const std::string run = ended("bad", "FAILURE");
        const std::string stage = _daemon.stagesOf(run)[0];
        const std::vector<std::vector<std::string>> verbs{
            {"runs"},         {"stages", run},
            {"stage", stage}, {"history", stage},
            {"history", run}, {"services"},
            {"plugins"},      {"agent"},
            {"run", "good"},  {"rerun", run},
            {"stop", run},    {"drain"},
            {"resume"},       {"retry", stage, "--reason", "x"}};
        for (auto arguments : verbs)
        {
            arguments.emplace_back("--json");
            const auto document = parsed(done(arguments).out);
            CPPUNIT_ASSERT_MESSAGE(arguments[0], document.IsObject() || document.IsArray());
        }
        CPPUNIT_ASSERT_EQUAL(
            run, std::string(parsed(done({"stages", run, "--json"}).out)[0]["runId"].GetString()));
    }

    void testAPrefixIdentifiesARunOrStage()
    {
        const std::string run = ended("good", "SUCCESS");
        const std::string stage = _daemon.stagesOf(run)[1];
        assertHas(done({"stages", run.substr(0, 8)}).out, stage);
        CPPUNIT_ASSERT_EQUAL(std::string("built\n"), done({"logs", stage.substr(0, 13)}).out);
        assertHas(done({"history", stage.substr(0, 10)}).out, "SUCCESS");
        refused(2, {"stages", run.substr(0, 5)});
        refused(2, {"stages", "not-an-id"});
        refused(4, {"stages", nobody.substr(0, 12)});
        refused(4, {"stage", nobody.substr(0, 12)});
        done({"delete", run.substr(0, 9), "--yes"});
    }

    void testExitCodesDistinguishCauses()
    {
        refused(2, {});
        refused(2, {"nonsense"});
        refused(2, {"run", "good", "--env", "NOEQUALS"});
        refused(2, {"runs", "--status", "done"});
        assertHas(refused(3, {"run", "good", "--branch=..x"}).err, "field branch");
        assertHas(refused(4, {"run", "nobody"}).err, "nobody");
        assertHas(refused(4, {"runs", "--service", "nobody"}).err, "good");
        for (const char* verb : {"stages", "stop", "approve", "rerun", "stage", "logs", "history"})
            refused(4, {verb, nobody});
        for (const char* verb : {"retry", "skip", "reject"})
            refused(4, {verb, nobody, "--reason", "x"});
        refused(4, {"patch", nobody, "success", "--reason", "x"});
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        assertHas(refused(6, {"agent"}).err, "--agent URL");
    }

    void testAddressComesFromTheEnvironmentOrTheFile()
    {
        const std::vector<std::string> agent{STAGE_AGENT_BIN_DIR "/stagectl", "agent"};
        const std::string home = _daemon.folder().string();
        CPPUNIT_ASSERT_EQUAL(0, runProgram(agent, _daemon.folder(),
                                           {{"HOME", home}, {"STAGE_AGENT_URL", _daemon.url()}})
                                    .exitCode);
        std::filesystem::create_directory(_daemon.folder() / ".config");
        std::ofstream(_daemon.folder() / ".config/stagectl") << "agent = " << _daemon.url() << "\n";
        CPPUNIT_ASSERT_EQUAL(0, runProgram(agent, _daemon.folder(), {{"HOME", home}}).exitCode);
    }

private:
    void service(const std::string& name, const std::string& first, const std::string& second)
    {
        const auto stage = [](const std::string& type, const std::string& command)
        {
            return "  - type: " + type + "\n    plugin: shell\n    with:\n      command: |\n" +
                   "        " + command + "\n";
        };
        _daemon.writeService(name, "name: " + name + "\nstages:\n" + stage("PREPARE", first) +
                                       stage("BUILD", second));
    }

    void reload(const std::string& name) const
    {
        _daemon.signal(SIGHUP);
        waitFor("the service " + name,
                [&] { return _daemon.get("/api/services/" + name).status == 200; });
    }

    Ended stagectl(const std::vector<std::string>& arguments) const
    {
        std::vector<std::string> all{STAGE_AGENT_BIN_DIR "/stagectl", "--agent", _daemon.url()};
        all.insert(all.end(), arguments.begin(), arguments.end());
        return runProgram(all, _daemon.folder(), {{"HOME", _daemon.folder().string()}});
    }

    Ended done(const std::vector<std::string>& arguments) const { return refused(0, arguments); }

    Ended refused(int exitCode, const std::vector<std::string>& arguments) const
    {
        Ended ended = stagectl(arguments);
        std::string line;
        for (const auto& argument : arguments)
            line += argument + " ";
        CPPUNIT_ASSERT_EQUAL_MESSAGE(line + ": " + ended.out + ended.err, exitCode, ended.exitCode);
        if (exitCode > 1 && arguments != std::vector<std::string>{"health"})
        {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(line, std::string(), ended.out);
            CPPUNIT_ASSERT_MESSAGE(ended.err, ended.err.starts_with("stagectl: "));
        }
        return ended;
    }

    /// Returns the id that it prints.
    std::string started(const std::vector<std::string>& arguments) const
    {
        const std::string out = done(arguments).out;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(out, std::size_t{37}, out.size());
        return out.substr(0, 36);
    }

    std::string ended(const std::string& name, const std::string& status) const
    {
        std::string run = started({"run", name});
        _daemon.waitForRun(run, status);
        return run;
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlTest);
