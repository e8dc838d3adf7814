// Runs whose stages stand in a file of their repository: docs/pipeline-in-repository.md.
#include "tests/support/CanSandbox.h"
#include "tests/support/GitOrigin.h"
#include "tests/support/Program.h"
#include "tests/support/Stages.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <iostream>
#include <memory>

using agent::test::Answer;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::GitOrigin;
using agent::test::waitFor;

namespace fs = std::filesystem;

class PipelineInRepositoryTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(PipelineInRepositoryTest);
    CPPUNIT_TEST(testStagesAreThoseOfTheCommit);
    CPPUNIT_TEST(testRunHasOneStageUntilTheFileIsRead);
    CPPUNIT_TEST(testAWrongFileFailsPrepareWithItsPlace);
    CPPUNIT_TEST(testOnlyARegularFileOfTheCommitCounts);
    CPPUNIT_TEST(testTheWorkspaceIsNotAsked);
    CPPUNIT_TEST(testSandboxShowsNoCopy);
    CPPUNIT_TEST(testWhatTheServiceDemandsHolds);
    CPPUNIT_TEST(testConditionsOfTheFileHold);
    CPPUNIT_TEST(testPrepareCannotBeLeftOut);
    CPPUNIT_TEST(testPrepareIsTriedAgainByHand);
    CPPUNIT_TEST(testAStopWhileTheFileIsFetched);
    CPPUNIT_TEST(testRerunHasTheSameStages);
    CPPUNIT_TEST(testADaemonThatIsKilledLosesNothing);
    CPPUNIT_TEST(testAPullRequestDeploysNothing);
    CPPUNIT_TEST(testHistoryTellsOfTheStages);
    CPPUNIT_TEST(testServiceTellsItsFile);
    CPPUNIT_TEST(testExecTakesTheFileOfTheWorkingFolder);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _daemon = std::make_unique<Daemon>();
        _origin = std::make_unique<GitOrigin>(_daemon->folder() / "origin");
        _daemon->writeService("app", service());
    }

    void tearDown() override
    {
        _daemon.reset();
        _origin.reset();
    }

    void testStagesAreThoseOfTheCommit()
    {
        const std::string first =
            _origin->commit(".stage-agent.yaml", file(stage("UNIT_TEST", "echo first")));
        _origin->commit(".stage-agent.yaml", "env: {GREETING: hello}\n" +
                                                 file(stage("BUILD", "echo $GREETING $MODE") +
                                                      stage("OTHER", "test -f .stage-agent.yaml")));
        _daemon->start();
        const std::string run = _daemon->submitService("app");
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE BUILD OTHER"), types(run));
        CPPUNIT_ASSERT_EQUAL(std::string("hello of the service\n"),
                             _daemon->log(_daemon->stagesOf(run)[1]));
        const std::string old = submit(R"({"service":"app","commit":")" + first + "\"}");
        _daemon->waitForRun(old, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE UNIT_TEST"), types(old));
    }

    void testRunHasOneStageUntilTheFileIsRead()
    {
        _origin->commit(".stage-agent.yaml", file(stage("BUILD", "true")));
        _daemon->set("executor.slots", "1");
        _daemon->start();
        const fs::path gate = _daemon->folder() / "gate";
        const std::string before = _daemon->submit(agent::test::listOf(
            {agent::test::shell("until [ -e " + gate.string() + " ]; do sleep 0.05; done")}));
        const std::string run = _daemon->submitService("app");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE"), types(run));
        std::ofstream(gate) << "";
        _daemon->waitForRun(before, "SUCCESS");
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE BUILD"), types(run));
    }

    void testAWrongFileFailsPrepareWithItsPlace()
    {
        _daemon->start();
        const auto fails = [&](const std::string& text, const std::string& wanted)
        {
            _origin->commit(".stage-agent.yaml", text);
            const std::string run = _daemon->submitService("app");
            _daemon->waitForRun(run, "FAILURE");
            CPPUNIT_ASSERT_EQUAL(std::string("PREPARE"), types(run));
            const std::string stage = _daemon->stagesOf(run)[0];
            CPPUNIT_ASSERT_EQUAL(std::string("PIPELINE"), _daemon->detail(stage, "cause"));
            CPPUNIT_ASSERT_EQUAL(std::string("1"), _daemon->detail(stage, "attempt"));
            const std::string message = _daemon->detail(stage, "message");
            CPPUNIT_ASSERT_MESSAGE(message, message.starts_with(wanted));
        };
        fails("stages:\n  - type: BUILD\n    plugin: shell\n    with: {command: x}\n"
              "    timeout: soon\n",
              ".stage-agent.yaml:5:5: stages[0].timeout: expected a duration");
        fails("stages:\n- {type: BUILD, plugin: [\n", ".stage-agent.yaml:3:1: malformed YAML");
        fails("isolation: none\n" + file(stage("BUILD", "true")),
              ".stage-agent.yaml:1:1: isolation: is set by the service");
        fails("stages:\n- {type: PREPARE, plugin: git, with: {repository: /etc}}\n",
              ".stage-agent.yaml:2:19: stages[0].plugin: the service does not allow the plugin");
    }

    void testOnlyARegularFileOfTheCommitCounts()
    {
        _origin->commit("README", "no pipeline");
        _daemon->start();
        const auto fails = [&](const std::string& wanted)
        {
            const std::string run = _daemon->submitService("app");
            _daemon->waitForRun(run, "FAILURE");
            const std::string stage = _daemon->stagesOf(run)[0];
            CPPUNIT_ASSERT_EQUAL(std::string("PIPELINE"), _daemon->detail(stage, "cause"));
            const std::string message = _daemon->detail(stage, "message");
            CPPUNIT_ASSERT_MESSAGE(message, message.find(wanted) != std::string::npos);
        };
        fails(".stage-agent.yaml: there is no such file in the commit ");
        fs::create_symlink("/etc/passwd", _origin->path() / ".stage-agent.yaml");
        _origin->commitAll("a link");
        fails(".stage-agent.yaml: is no regular file in the commit ");
        fs::remove(_origin->path() / ".stage-agent.yaml");
        _origin->commit(".stage-agent.yaml/a", "a folder");
        fails(".stage-agent.yaml: is no regular file in the commit ");
        fs::remove_all(_origin->path() / ".stage-agent.yaml");
        _origin->commit(".stage-agent.yaml", std::string(131'073, '#'));
        fails(".stage-agent.yaml: is longer than 131072 bytes");
        // In a folder, and a name that another program would take for a pattern or an option.
        _origin->commit("-ci/[a]*.yaml", file(stage("BUILD", "true")));
        _daemon->writeService("odd", "name: odd\nrepository: " + _origin->path().string() +
                                         "\npipeline: \"-ci/[a]*.yaml\"\n");
        _daemon->signal(SIGHUP);
        waitFor("the service", [&] { return _daemon->get("/api/services/odd").status == 200; });
        _daemon->waitForRun(_daemon->submitService("odd"), "SUCCESS");
    }

    /// What stands in the workspace is what a filter made of it: here another pipeline.
    void testTheWorkspaceIsNotAsked()
    {
        const fs::path script = _daemon->folder() / "gitconfig";
        std::ofstream(script) << "[filter \"other\"]\n\tsmudge = \"sed s/mine/theirs/\"\n";
        std::ofstream(_origin->path() / ".gitattributes") << ".stage-agent.yaml filter=other\n";
        _origin->commit(".stage-agent.yaml", file(stage("BUILD", "echo mine")));
        _daemon->set("git.config", script.string());
        _daemon->start();
        const std::string run = _daemon->submitService("app");
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("mine\n"), _daemon->log(_daemon->stagesOf(run)[1]));
        const std::string workspace = contentOf(folderOf(run) / "workspace/.stage-agent.yaml");
        CPPUNIT_ASSERT_MESSAGE(workspace, workspace.find("theirs") != std::string::npos);
    }

    /// A filter of the checkout looks for the copy, and writes one where it thinks that it is.
    void testSandboxShowsNoCopy()
    {
        if (!agent::test::canSandbox())
        {
            std::cout << " (skipped: no sandbox on this host) " << std::flush;
            return;
        }
        const fs::path script = _daemon->folder() / "gitconfig";
        std::ofstream(script)
            << "[filter \"other\"]\n\tsmudge = \"d=$(dirname $STAGE_OUTPUTS); cat; "
               "env | grep ^STAGE_AGENT_PIPELINE; ls $d | grep pipeline; "
               "printf 'file x\\\\nstages: []\\\\n' >$d/pipeline.yaml; true\"\n";
        std::ofstream(_origin->path() / ".gitattributes") << "probe filter=other\n";
        _origin->commit("probe", "nothing");
        _origin->commit(".stage-agent.yaml", file(stage("BUILD", "echo mine; cat probe")));
        _daemon->set("git.config", script.string());
        _daemon->set("isolation.default", "sandbox");
        _daemon->start();
        const std::string run = _daemon->submitService("app");
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("mine\nnothing"), _daemon->log(_daemon->stagesOf(run)[1]));
    }

    void testWhatTheServiceDemandsHolds()
    {
        _daemon->writeService("app", service("allow: {without_approval: [DEPLOY_STAGING], "
                                             "limits: {pids: 400}, timeout: 90s}\n"));
        _origin->commit(".stage-agent.yaml",
                        file(stage("DEPLOY_STAGING", "true") + stage("DEPLOY_PROD", "true") +
                             stage("OTHER", "true")));
        _daemon->start();
        const std::string run = _daemon->submitService("app");
        _daemon->waitForRun(run, "AWAITING_APPROVAL");
        const auto stages = _daemon->stagesOf(run);
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _daemon->detail(stages[1], "status"));
        CPPUNIT_ASSERT_EQUAL(std::string("90000"), definitionOf(stages[1], "timeoutMs"));
        CPPUNIT_ASSERT_EQUAL(std::string("AWAITING_APPROVAL"),
                             _daemon->detail(stages[2], "status"));
        CPPUNIT_ASSERT_EQUAL(200, _daemon->post("/api/runs/" + run + "/approve-deployment").status);
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE DEPLOY_STAGING DEPLOY_PROD OTHER"), types(run));
    }

    void testConditionsOfTheFileHold()
    {
        const auto under = [](const std::string& when) {
            return "  - {type: OTHER, plugin: shell, with: {command: 'true'}, when: {" + when +
                   "}}\n";
        };
        _origin->commit(".stage-agent.yaml",
                        file(under("branch: [main]") + under("branch: [\"release/*\"]") +
                             under("run: failure")));
        _daemon->start();
        const std::string run = submit(R"({"service":"app","branch":"main"})");
        _daemon->waitForRun(run, "SUCCESS");
        const auto stages = _daemon->stagesOf(run);
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _daemon->detail(stages[1], "status"));
        CPPUNIT_ASSERT_EQUAL(std::string("branch is main"), _daemon->detail(stages[2], "skipped"));
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon->detail(stages[3], "status"));
    }

    /// A run whose stages were never read would be green, and have done nothing.
    void testPrepareCannotBeLeftOut()
    {
        _origin->commit(".stage-agent.yaml", "stages: []\n");
        _daemon->set("executor.slots", "1");
        _daemon->start();
        const std::string before =
            _daemon->submit(agent::test::listOf({agent::test::shell("sleep 60")}));
        const std::string run = _daemon->submitService("app");
        const std::string stage = _daemon->stagesOf(run)[0];
        const auto refused = [&](const Answer& answer)
        {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 409, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("stages_unread"),
                                 std::string(answer.json()["error"]["code"].GetString()));
        };
        const std::string path = "/api/stages/" + stage;
        refused(_daemon->patch(path, R"({"status":"SUCCESS"})"));
        refused(_daemon->request("DELETE", path));
        refused(_daemon->patch("/api/runs/" + run, R"({"triggerType":"PR_SYNC"})"));
        CPPUNIT_ASSERT_EQUAL(200, _daemon->post("/api/runs/" + before + "/stop").status);
        _daemon->waitForRun(run, "FAILURE");
        refused(_daemon->patch(path, R"({"status":"SUCCESS"})"));
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon->statusOf(run));
        CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", path).status); // an ended run stays so
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon->statusOf(run));
    }

    /// The host's owner has allowed the plugin meanwhile; the stages of the run are those that were allowed at submission.
    void testPrepareIsTriedAgainByHand()
    {
        _daemon->start();
        const std::string run = _daemon->submitService("app"); // an empty repository
        _daemon->waitForRun(run, "FAILURE");
        const std::string stage = _daemon->stagesOf(run)[0];
        CPPUNIT_ASSERT_EQUAL(std::string("EXIT"), _daemon->detail(stage, "cause"));
        _origin->commit(".stage-agent.yaml", file(passes("BUILD")));
        CPPUNIT_ASSERT_EQUAL(200,
                             _daemon->patch("/api/stages/" + stage, R"({"status":"IDLE"})").status);
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE BUILD"), types(run));
        CPPUNIT_ASSERT_EQUAL(std::string("2"), _daemon->detail(stage, "attempt"));
    }

    void testAStopWhileTheFileIsFetched()
    {
        _origin->commit(".stage-agent.yaml", file(passes("BUILD")));
        const fs::path script = _daemon->folder() / "gitconfig";
        std::ofstream(script) << "[filter \"slow\"]\n\tsmudge = \"sleep 60\"\n";
        std::ofstream(_origin->path() / ".gitattributes") << "slow filter=slow\n";
        _origin->commit("slow", "x");
        _daemon->set("git.config", script.string());
        _daemon->start();
        const std::string run = _daemon->submitService("app");
        _daemon->waitForStage(_daemon->stagesOf(run)[0], "IN_PROGRESS");
        const Answer accepted =
            _daemon->patch("/api/stages/" + _daemon->stagesOf(run)[0], R"({"status":"SUCCESS"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(accepted.body, 409, accepted.status);
        CPPUNIT_ASSERT_EQUAL(200, _daemon->post("/api/runs/" + run + "/stop").status);
        _daemon->waitForRun(run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("STOPPED"),
                             _daemon->detail(_daemon->stagesOf(run)[0], "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE"), types(run));
    }

    void testRerunHasTheSameStages()
    {
        _origin->commit(".stage-agent.yaml", file(passes("BUILD") + passes("OTHER")));
        _daemon->start();
        const std::string run = _daemon->submitService("app");
        _daemon->waitForRun(run, "SUCCESS");
        _origin->commit(".stage-agent.yaml", file(passes("UNIT_TEST")));
        _daemon->writeService("app", service("allow: {plugins: []}\n"));
        _daemon->signal(SIGHUP);
        const std::string again = _daemon->post("/api/runs/" + run + "/rerun").body;
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE BUILD OTHER"), types(again));
        _daemon->waitForRun(again, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE BUILD OTHER"), types(again));
    }

    void testADaemonThatIsKilledLosesNothing()
    {
        _origin->commit(".stage-agent.yaml", file(passes("BUILD") + passes("OTHER")));
        _daemon->start();
        std::vector<std::string> runs;
        for (int i = 0; i < 6; ++i)
        {
            runs.push_back(_daemon->submitService("app"));
            if (i % 2 == 0)
                _daemon->waitForStage(_daemon->stagesOf(runs.back())[0], "SUCCESS");
            _daemon->kill();
            _daemon->start();
        }
        for (const auto& run : runs)
        {
            _daemon->waitForRun(run, "SUCCESS");
            CPPUNIT_ASSERT_EQUAL(std::string("PREPARE BUILD OTHER"), types(run));
            for (const auto& stage : _daemon->stagesOf(run))
                CPPUNIT_ASSERT_EQUAL(std::string("1"), _daemon->detail(stage, "attempt"));
        }
    }

    void testAPullRequestDeploysNothing()
    {
        if (!agent::test::canSandbox())
        {
            std::cout << " (skipped: no sandbox on this host) " << std::flush;
            return;
        }
        _daemon->writeService(
            "app", service("allow: {without_approval: [DEPLOY_STAGING, DEPLOY_PROD]}\n"));
        _origin->commit(".stage-agent.yaml",
                        file(passes("DEPLOY_STAGING") + passes("BUILD") + passes("DEPLOY_PROD")));
        _daemon->start();
        const std::string run = submit(R"({"service":"app","triggerType":"PR_OPEN"})");
        // What the trigger is called later changes nothing.
        _daemon->patch("/api/runs/" + run, R"({"triggerType":"MANUAL"})");
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE BUILD"), types(run));
        CPPUNIT_ASSERT_EQUAL(std::string("sandbox"),
                             _daemon->detail(_daemon->stagesOf(run)[1], "isolation"));
    }

    void testHistoryTellsOfTheStages()
    {
        _origin->commit(".stage-agent.yaml", file(passes("BUILD") + passes("OTHER")));
        _daemon->start();
        const std::string run = _daemon->submitService("app");
        _daemon->waitForRun(run, "SUCCESS");
        const std::string history = _daemon->get("/api/runs/" + run + "/history").body;
        CPPUNIT_ASSERT_MESSAGE(history, history.find("2 stages from .stage-agent.yaml") !=
                                            std::string::npos);
    }

    void testServiceTellsItsFile()
    {
        _daemon->start();
        const auto shown = _daemon->get("/api/services/app").json();
        CPPUNIT_ASSERT_EQUAL(std::string(".stage-agent.yaml"),
                             std::string(shown["pipelineFile"].GetString()));
        CPPUNIT_ASSERT_EQUAL(1U, shown["stages"].Size());
        const auto listed = agent::test::runProgram(
            {std::string(STAGE_AGENT_BIN_DIR) + "/stagectl", "--agent", _daemon->url(),
             "--token-file", (_daemon->state() / "admin.token").string(), "services"},
            _daemon->folder());
        CPPUNIT_ASSERT_MESSAGE(listed.out + listed.err,
                               listed.out.find(".stage-agent.yaml") != std::string::npos);
    }

    void testExecTakesTheFileOfTheWorkingFolder()
    {
        const auto exec = [&](const std::string& stage)
        {
            return agent::test::runProgram(
                {std::string(STAGE_AGENT_BIN_DIR) + "/stagectl", "exec", "app", stage, "-D",
                 "services.dir=" + (_daemon->folder() / "services.d").string(), "-D",
                 "isolation.default=none", "--workspace", _origin->path().string()},
                _daemon->folder());
        };
        const auto missing = exec("BUILD");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(missing.err, 4, missing.exitCode);
        CPPUNIT_ASSERT(missing.err.find("there is no " + _origin->path().string() +
                                        "/.stage-agent.yaml") != std::string::npos);
        std::ofstream(_origin->path() / ".stage-agent.yaml") << file(stage("BUILD", "echo $MODE"));
        const auto ran = exec("BUILD");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, 0, ran.exitCode);
        CPPUNIT_ASSERT_EQUAL(std::string("of the service\n"), ran.out);
        std::ofstream(_origin->path() / ".stage-agent.yaml") << "isolation: none\n"
                                                             << file(stage("BUILD", "true"));
        const auto refused = exec("BUILD");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(refused.err, 2, refused.exitCode);
        CPPUNIT_ASSERT(refused.err.find(".stage-agent.yaml:1:1: isolation: ") != std::string::npos);
    }

private:
    [[nodiscard]] std::string service(const std::string& more = "") const
    {
        return "name: app\nrepository: " + _origin->path().string() +
               "\npipeline: .stage-agent.yaml\nenv: {MODE: of the service}\n" + more;
    }

    static std::string file(const std::string& stages) { return "stages:\n" + stages; }

    static std::string stage(const std::string& type, const std::string& command)
    {
        return "  - {type: " + type + ", plugin: shell, with: {command: '" + command + "'}}\n";
    }

    static std::string passes(const std::string& type) { return stage(type, "true"); }

    std::string submit(const std::string& body) const
    {
        const Answer made = _daemon->post("/api/runs", body);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["id"].GetString();
    }

    /// `PREPARE BUILD`
    [[nodiscard]] std::string types(const std::string& run) const
    {
        std::string all;
        const auto stages = _daemon->get("/api/stages?runId=" + run).json();
        for (const auto& stage : stages.GetArray())
            all += (all.empty() ? "" : " ") + std::string(stage["type"].GetString());
        return all;
    }

    [[nodiscard]] std::string definitionOf(const std::string& stage, const char* key) const
    {
        const auto shown = _daemon->get("/api/stages/" + stage).json();
        return std::to_string(shown["definition"][key].GetInt64());
    }

    [[nodiscard]] fs::path folderOf(const std::string& run) const
    {
        return _daemon->state() / "runs" / run.substr(0, 2) / run;
    }

    std::unique_ptr<Daemon> _daemon;
    std::unique_ptr<GitOrigin> _origin;
};

CPPUNIT_TEST_SUITE_REGISTRATION(PipelineInRepositoryTest);
