// What the agent shows and keeps of a stage holds none of its secrets, besides the log too.
#include "tests/support/Daemon.h"
#include "tests/support/Program.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

using agent::test::Daemon;
using agent::test::runProgram;
using agent::test::waitFor;

class SecretsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SecretsTest);
    CPPUNIT_TEST(testAStageAddsASecretWhileItRuns);
    CPPUNIT_TEST(testAddedSecretsAreGoneWithALostShim);
    CPPUNIT_TEST(testOutputsAreMasked);
    CPPUNIT_TEST(testMessagesAndReasonsAreMasked);
    CPPUNIT_TEST(testWhatGitReportsOfTheCommitIsMasked);
    CPPUNIT_TEST(testProcessesAndDefinitionsAreMasked);
    CPPUNIT_TEST(testServiceWithAShortSecretIsRefused);
    CPPUNIT_TEST(testRequestMayNotSetASecret);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAStageAddsASecretWhileItRuns()
    {
        _daemon.start();
        const auto run =
            _daemon.submit(one("echo fetched-token >> $STAGE_MASK; echo got fetched-token; "
                               "echo fetched-token | base64"));
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("got ***\n***go=\n"),
                             _daemon.log(_daemon.stagesOf(run)[0]));
        CPPUNIT_ASSERT(!std::filesystem::exists(attempt(run, "0-BUILD") / "mask"));
    }

    void testAddedSecretsAreGoneWithALostShim()
    {
        _daemon.start();
        const auto run = _daemon.submit(one("echo fetched-token >> $STAGE_MASK; kill -9 $PPID"));
        _daemon.waitForRun(run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("SHIM_LOST"),
                             _daemon.detail(_daemon.stagesOf(run)[0], "cause"));
        waitFor("the file of secrets to go",
                [&] { return !std::filesystem::exists(attempt(run, "0-BUILD") / "mask"); });
    }

    void testOutputsAreMasked()
    {
        service(R"(echo "{\"note\": \"all of $TOKEN here\"}" > $STAGE_OUTPUTS)",
                R"(test "$OUTPUT_NOTE" = "all of *** here")");
        _daemon.start();
        const auto run = _daemon.submitService("app");
        _daemon.waitForRun(run, "SUCCESS");
        assertNowhere(run);
    }

    /// The arguments of a process are shown, and tell what it was given.
    void testProcessesAndDefinitionsAreMasked()
    {
        service("echo added-token >> $STAGE_MASK\n        "
                "sh -c 'sleep 971' worker --token=$TOKEN --added=added-token hunter22 # hunter22 "
                "https://me:pw@host/x",
                "true");
        _daemon.start();
        const auto run = _daemon.submitService("app");
        const auto stage = _daemon.stagesOf(run)[0];
        const auto shown = [&] { return _daemon.get("/api/stages/" + stage + "/processes").body; };
        waitFor("the processes", [&] { return shown().find("sleep") != std::string::npos; });
        const std::string processes = shown();
        CPPUNIT_ASSERT_MESSAGE(processes, processes.find("\"--token=***\"") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(processes, processes.find("\"--added=***\"") != std::string::npos);
        const std::string detail = _daemon.get("/api/stages/" + stage).body;
        CPPUNIT_ASSERT_MESSAGE(detail,
                               detail.find("# *** https://***@host/x") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(detail, detail.find("\"secrets\":[\"TOKEN\"]") != std::string::npos);
        for (const char* secret : {"hunter22", "me:pw"})
            CPPUNIT_ASSERT_MESSAGE(secret, (processes + detail).find(secret) == std::string::npos);
        CPPUNIT_ASSERT(processes.find("added-token") == std::string::npos);
        _daemon.post("/api/runs/" + run + "/stop");
    }

    void testMessagesAndReasonsAreMasked()
    {
        service(R"(echo "{\"$TOKEN\": 1}" > $STAGE_OUTPUTS)", "sleep 60");
        _daemon.start();
        const auto run = _daemon.submitService("app");
        _daemon.waitForRun(run, "FAILURE");
        const auto stages = _daemon.stagesOf(run);
        const auto message = _daemon.detail(stages[0], "message");
        CPPUNIT_ASSERT_MESSAGE(message, message.find("'***' is no string") != std::string::npos);
        // Accepted by hand; then ended by hand while it runs.
        accept(stages[0]);
        _daemon.waitForStage(stages[1], "IN_PROGRESS");
        accept(stages[1]);
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT(
            _daemon.get("/api/stages/" + stages[1] + "/history").body.find("*** leaked") !=
            std::string::npos);
        assertNowhere(run);
    }

    void testWhatGitReportsOfTheCommitIsMasked()
    {
        const auto repository = (_daemon.folder() / "origin").string();
        const auto made =
            runProgram({"/bin/sh", "-ec",
                        "git init -q " + repository + "; git -C " + repository +
                            " -c user.name=Ada -c user.email=ada@example.org commit -q "
                            "--allow-empty -m 'take hunter22 out'"},
                       _daemon.folder());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.err, 0, made.exitCode);
        _daemon.writeSecret("TOKEN", "hunter22\n");
        _daemon.writeService("app", "name: app\nsecrets: [TOKEN]\nrepository: " + repository +
                                        "\nstages: [{ type: PREPARE, plugin: git }]\n");
        _daemon.start();
        const auto run = _daemon.submitService("app");
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT(_daemon.get("/api/runs/" + run).body.find("take *** out") !=
                       std::string::npos);
        assertNowhere(run);
    }

    void testServiceWithAShortSecretIsRefused()
    {
        service("true", "true");
        _daemon.writeSecret("TOKEN", "abc\n");
        std::string output;
        CPPUNIT_ASSERT(_daemon.runToEnd({"--check"}, output) != 0);
        CPPUNIT_ASSERT_MESSAGE(output, output.find("app.yaml:2: secrets[0]") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(output, output.find("shorter than 4") != std::string::npos);
        _daemon.start();
        const auto refused = _daemon.post("/api/runs", R"({"service":"app"})");
        CPPUNIT_ASSERT(refused.status >= 400);
    }

    void testRequestMayNotSetASecret()
    {
        service("true", "true");
        _daemon.start();
        const auto refused = _daemon.post("/api/runs", R"({"service":"app","env":{"TOKEN":"x"}})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(refused.body, 400, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("env.TOKEN"),
                             std::string(refused.json()["error"]["field"].GetString()));
    }

private:
    static std::string one(const std::string& command)
    {
        return R"([{"type":"BUILD","plugin":"shell","with":{"command":")" + command + R"("}}])";
    }

    void accept(const std::string& stage) const
    {
        const auto answer = _daemon.patch("/api/stages/" + stage,
                                          R"({"status":"SUCCESS","reason":"hunter22 leaked"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
    }

    /// Two stages that know the secret TOKEN, `hunter22`.
    void service(const std::string& first, const std::string& second)
    {
        _daemon.writeSecret("TOKEN", "hunter22\n");
        _daemon.writeService("app", "name: app\nsecrets: [TOKEN]\nstages:\n"
                                    "  - type: BUILD\n    plugin: shell\n    with:\n"
                                    "      command: |\n        " +
                                        first +
                                        "\n"
                                        "  - type: OTHER\n    plugin: shell\n    with:\n"
                                        "      command: |\n        " +
                                        second + "\n");
    }

    [[nodiscard]] std::filesystem::path attempt(const std::string& run,
                                                const std::string& stage) const
    {
        return _daemon.state() / "runs" / run.substr(0, 2) / run / stage / "1";
    }

    /// Neither in what is shown of the run, nor in the record and what the agent itself said.
    void assertNowhere(const std::string& run) const
    {
        std::string all = _daemon.get("/api/runs/" + run).body;
        for (const auto& stage : _daemon.stagesOf(run))
            for (const char* view : {"", "/history", "/log"})
                all += _daemon.get("/api/stages/" + stage + view).body;
        all += _daemon.output();
        for (const auto& entry : std::filesystem::directory_iterator(_daemon.state()))
            if (entry.is_regular_file())
                all += agent::test::contentOf(entry.path());
        std::replace(all.begin(), all.end(), '\0', ' ');
        const auto at = all.find("hunter22");
        CPPUNIT_ASSERT_MESSAGE(
            at == all.npos ? "" : all.substr(at - std::min<std::size_t>(at, 200), 300),
            at == all.npos);
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(SecretsTest);
