// The pipeline file of whoever may push a branch, and of forks: 0 secrets, 0 deployments. docs/pipeline-in-repository.md
#include "tests/support/CanSandbox.h"
#include "tests/support/GitOrigin.h"
#include "tests/support/Stages.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <memory>

using agent::test::Answer;
using agent::test::canSandbox;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::GitOrigin;

namespace fs = std::filesystem;

class StrangersPipelineTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StrangersPipelineTest);
    CPPUNIT_TEST(testAGrantedSecretReachesItsStageAlone);
    CPPUNIT_TEST(testABranchGetsNoSecretOfAnother);
    CPPUNIT_TEST(testAPullRequestHasNoSecrets);
    CPPUNIT_TEST(testAForkIsBuiltByTheFileOfItsBase);
    CPPUNIT_TEST(testTheBaseIsReadAnew);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _daemon = std::make_unique<Daemon>();
        _origin = std::make_unique<GitOrigin>(_daemon->folder() / "origin");
        _daemon->writeSecret("DEPLOY_TOKEN", std::string(secret) + "\n");
        _daemon->writeService("app", service(""));
        _daemon->set("isolation.default", "sandbox");
    }

    void tearDown() override
    {
        _daemon.reset();
        _origin.reset();
    }

    void testAGrantedSecretReachesItsStageAlone()
    {
        if (!canSandbox())
            return;
        pipeline(tell("BUILD", "") + tell("DEPLOY_STAGING", "secrets: [DEPLOY_TOKEN], "));
        _daemon->start();
        const std::string run = submit(R"({"service":"app","branch":"main"})");
        _daemon->waitForRun(run, "SUCCESS");
        const auto stages = _daemon->stagesOf(run);
        CPPUNIT_ASSERT_EQUAL(std::string("[]\n"), _daemon->log(stages[1]));
        CPPUNIT_ASSERT_EQUAL(std::string("[***]\n"), _daemon->log(stages[2]));
        // Variables of the file may not be called as a secret.
        _origin->commit(".stage-agent.yaml",
                        "env: {DEPLOY_TOKEN: x}\nstages:\n" + tell("BUILD", ""));
        fails(submit(R"({"service":"app"})"),
              ".stage-agent.yaml:1:7: env.DEPLOY_TOKEN: is a secret of the service");
    }

    void testABranchGetsNoSecretOfAnother()
    {
        if (!canSandbox())
            return;
        pipeline(tell("BUILD", ""));
        _origin->git("checkout -q -b feature/x");
        _daemon->start();
        // A stage that calls itself something else.
        pipeline(tell("OTHER", "secrets: [DEPLOY_TOKEN], "));
        fails(onBranch("feature/x"),
              ".stage-agent.yaml:2:29: stages[0].secrets[0]: is granted to stages of the types "
              "DEPLOY_STAGING only");
        // A secret that the service does not grant.
        pipeline(tell("OTHER", "secrets: [HOOKS], "));
        fails(onBranch("feature/x"), "is none that the service's grants give to this file");
        // A deployment: the grant is for another branch.
        pipeline(tell("DEPLOY_STAGING", "secrets: [DEPLOY_TOKEN], "));
        const std::string run = onBranch("feature/x");
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("[]\n"), _daemon->log(_daemon->stagesOf(run)[1]));
        // The same commit, called main.
        const std::string head = _origin->git("rev-parse HEAD");
        const std::string lie =
            submit(R"({"service":"app","branch":"main","commit":")" + head + "\"}");
        _daemon->waitForRun(lie, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE"), types(lie));
    }

    void testAPullRequestHasNoSecrets()
    {
        if (!canSandbox())
            return;
        _daemon->writeService("app", service("", "types: [BUILD]"));
        pipeline(tell("BUILD", "secrets: [DEPLOY_TOKEN], ") + tell("DEPLOY_PROD", ""));
        _daemon->start();
        const std::string run = submit(R"({"service":"app","triggerType":"PR_SYNC"})");
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE BUILD"), types(run));
        CPPUNIT_ASSERT_EQUAL(std::string("[]\n"), _daemon->log(_daemon->stagesOf(run)[1]));
        const std::string again = _daemon->post("/api/runs/" + run + "/rerun").body;
        _daemon->waitForRun(again, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("[]\n"), _daemon->log(_daemon->stagesOf(again)[1]));
    }

    void testAForkIsBuiltByTheFileOfItsBase()
    {
        if (!canSandbox())
            return;
        _daemon->writeService("app", service("forks: allow\n", "types: [BUILD]"));
        _origin->commit("code", "of the base");
        pipeline("  - {type: BUILD, secrets: [DEPLOY_TOKEN], plugin: shell, with: {command: 'cat "
                 "code; echo [$DEPLOY_TOKEN]'}}\n" +
                 tell("DEPLOY_STAGING", ""));
        const std::string commit = proposed(
            [&]
            {
                _origin->commit("code", "of the fork");
                pipeline("  - {type: OTHER, plugin: shell, with: {command: echo stolen}}\n");
            });
        _daemon->start();
        for (const char* base : {R"("baseBranch":"main",)", ""})
        {
            const std::string run = fork(commit, base);
            _daemon->waitForRun(run, "SUCCESS");
            CPPUNIT_ASSERT_EQUAL(std::string("PREPARE BUILD"), types(run));
            const std::string stage = _daemon->stagesOf(run)[1];
            CPPUNIT_ASSERT_EQUAL(std::string("of the fork[]\n"), _daemon->log(stage));
            CPPUNIT_ASSERT_EQUAL(std::string("sandbox"), _daemon->detail(stage, "isolation"));
            const std::string again = _daemon->post("/api/runs/" + run + "/rerun").body;
            _daemon->waitForRun(again, "SUCCESS");
            CPPUNIT_ASSERT_EQUAL(std::string("PREPARE BUILD"), types(again));
        }
    }

    /// The commit of the fork is in the mirror already, and an old file of the base with it.
    void testTheBaseIsReadAnew()
    {
        if (!canSandbox())
            return;
        _daemon->writeService("app", service("forks: allow\n"));
        pipeline(tell("BUILD", ""));
        const std::string commit = proposed([&] { _origin->commit("code", "of the fork"); });
        _daemon->start();
        const std::string before = fork(commit, R"("baseBranch":"main",)");
        _daemon->waitForRun(before, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE BUILD"), types(before));
        pipeline(tell("UNIT_TEST", ""));
        const std::string after = fork(commit, R"("baseBranch":"main",)");
        _daemon->waitForRun(after, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE UNIT_TEST"), types(after));
        const std::string none = fork(commit, R"("baseBranch":"gone",)");
        _daemon->waitForRun(none, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE"), types(none));
    }

private:
    static constexpr const char* secret = "deploy-98765432";

    [[nodiscard]] std::string
    service(const std::string& more,
            const std::string& grant = "types: [DEPLOY_STAGING], branches: [main]") const
    {
        return "name: app\nrepository: " + _origin->path().string() +
               "\npipeline: .stage-agent.yaml\nallow: {without_approval: [DEPLOY_STAGING, "
               "DEPLOY_PROD]}\ngrants:\n  DEPLOY_TOKEN: {" +
               grant + "}\n" + more;
    }

    /// A stage that tells the secret, where it has it.
    static std::string tell(const std::string& type, const std::string& more)
    {
        return "  - {type: " + type + ", " + more +
               "plugin: shell, with: {command: 'echo [$DEPLOY_TOKEN]'}}\n";
    }

    void pipeline(const std::string& stages) const
    {
        _origin->commit(".stage-agent.yaml", "stages:\n" + stages);
    }

    /// What `change` does is proposed by a fork: no branch has it. Returns the commit.
    template <typename Change> std::string proposed(const Change& change) const
    {
        _origin->git("checkout -q -b proposed");
        change();
        std::string commit = _origin->git("rev-parse HEAD");
        _origin->git("update-ref refs/pull/7/head proposed");
        _origin->git("checkout -q main");
        _origin->git("branch -q -D proposed");
        return commit;
    }

    std::string fork(const std::string& commit, const std::string& base) const
    {
        return submit(R"({"service":"app","fork":true,"pullNumber":7,"triggerType":"PR_OPEN",)" +
                      base + R"("commit":")" + commit + "\"}");
    }

    std::string onBranch(const std::string& branch) const
    {
        return submit(R"({"service":"app","branch":")" + branch + "\"}");
    }

    std::string submit(const std::string& body) const
    {
        const Answer made = _daemon->post("/api/runs", body);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["id"].GetString();
    }

    void fails(const std::string& run, const std::string& wanted) const
    {
        _daemon->waitForRun(run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("PREPARE"), types(run));
        const std::string message = _daemon->detail(_daemon->stagesOf(run)[0], "message");
        CPPUNIT_ASSERT_MESSAGE(message, message.find(wanted) != std::string::npos);
    }

    [[nodiscard]] std::string types(const std::string& run) const
    {
        std::string all;
        const auto stages = _daemon->get("/api/stages?runId=" + run).json();
        for (const auto& stage : stages.GetArray())
            all += (all.empty() ? "" : " ") + std::string(stage["type"].GetString());
        return all;
    }

    std::unique_ptr<Daemon> _daemon;
    std::unique_ptr<GitOrigin> _origin;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StrangersPipelineTest);
