// Who may change the repository, and only that, gets no secret and deploys nothing: docs/secrets.md.
#include "tests/support/AccessFixture.h"
#include "tests/support/CanSandbox.h"
#include "tests/support/HookPayloads.h"
#include "tests/support/Program.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

using agent::test::AccessFixture;
using agent::test::Answer;
using agent::test::canSandbox;
using agent::test::githubHeaders;
using agent::test::HookFacts;
using agent::test::pullRequestJson;
using agent::test::pushJson;
using agent::test::runProgram;

class StrangersTest: public CppUnit::TestFixture, private AccessFixture
{
    CPPUNIT_TEST_SUITE(StrangersTest);
    CPPUNIT_TEST(testTheOwnersBranchDeploys);
    CPPUNIT_TEST(testAForkGetsNoSecretAndDeploysNothing);
    CPPUNIT_TEST(testAFeatureBranchGetsNoSecretOfAnother);
    CPPUNIT_TEST(testACommitThatIsCalledMainIsNone);
    CPPUNIT_TEST(testAForksSubmodulesAreRefused);
    CPPUNIT_TEST(testForksRunNothingUnlessAllowed);
    CPPUNIT_TEST(testARequestForAForkNeedsItsFacts);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _daemon.set("hooks.secret", "HOOKS");
        _daemon.set("isolation.default", "sandbox");
        _daemon.writeSecret("HOOKS", hookSecret + "\n");
        _daemon.writeSecret("NPM_TOKEN", npmToken + "\n");
        _daemon.writeSecret("DEPLOY_TOKEN", deployToken + "\n");
        git("init -q -b main " + origin());
        write("build.sh", "true");
        write("deploy.sh", "echo \"$DEPLOY_TOKEN\" | rev");
        _main = commit("first");
    }

    /// That the others are refused means something: this is what they would print.
    void testTheOwnersBranchDeploys()
    {
        if (!canSandbox())
            return;
        start("forks: allow\n");
        write("build.sh", "echo \"$NPM_TOKEN\" | rev");
        const std::string run = pushed("main", commit("print"));
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT(contains(logsOf(run), reversed(deployToken)));
        CPPUNIT_ASSERT(contains(logsOf(run), reversed(npmToken)));
        const auto other = stage(run, 2)["definition"]["secrets"].Size(); // of type OTHER
        CPPUNIT_ASSERT_EQUAL(0U, other);
    }

    void testAForkGetsNoSecretAndDeploysNothing()
    {
        if (!canSandbox())
            return;
        start("forks: allow\nsecrets_for_pull_requests: true\n");
        const std::string stolen = attack();
        int id = 0;
        for (const char* head : {"main", "feature/x"})
            for (const char* repository : {"mallory/payment", ""})
            {
                const std::string body = pullRequestJson({.repository = name(),
                                                          .commit = stolen,
                                                          .head = head,
                                                          .headRepository = repository},
                                                         "");
                const Answer answer = deliver("pull_request", "fork-" + std::to_string(++id), body);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
                assertHarmless(answer.json()["runIds"][0].GetString());
            }
        // The same by the API, whoever starts it.
        for (const char* trigger : {"PR_OPEN", "PR_SYNC"})
        {
            const Answer answer = as(token(trigger, "run"), "POST", "/api/runs",
                                     R"({"service":"payment","fork":true,"pullNumber":7,)"
                                     R"("branch":"main","baseBranch":"main","triggerType":")" +
                                         std::string(trigger) + R"(","commit":")" + stolen + "\"}");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
            const std::string run = answer.json()["id"].GetString();
            assertHarmless(run);
            // And once more, as another trigger, by who may operate the agent.
            CPPUNIT_ASSERT_EQUAL(
                200, as(admin(), "PATCH", "/api/runs/" + run, R"({"triggerType":"MAIN"})").status);
            const Answer again = as(admin(), "POST", "/api/runs/" + run + "/rerun");
            CPPUNIT_ASSERT_EQUAL(200, again.status);
            assertHarmless(again.body);
        }
    }

    void testAFeatureBranchGetsNoSecretOfAnother()
    {
        if (!canSandbox())
            return;
        start("");
        const std::string stolen = attack();
        const std::string run = pushed("feature/x", stolen);
        _daemon.waitForRun(run, "SUCCESS");
        assertNoSecret(run);
        const auto deploy = stage(run, 3);
        const auto& definition = deploy["definition"];
        CPPUNIT_ASSERT_EQUAL(0U, definition["secrets"].Size());
        CPPUNIT_ASSERT_EQUAL(
            std::string("grants does not give it to the branch feature/x"),
            std::string(definition["secretsWithheld"]["DEPLOY_TOKEN"].GetString()));
        // Its pull request, of the repository's own.
        const std::string body =
            pullRequestJson({.repository = name(), .commit = stolen, .headRepository = name()}, "");
        const Answer answer = deliver("pull_request", "own", body);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
        const std::string own = answer.json()["runIds"][0].GetString();
        _daemon.waitForRun(own, "SUCCESS");
        assertNoSecret(own);
        CPPUNIT_ASSERT_EQUAL(std::size_t(3), _daemon.stagesOf(own).size());
        // As a trigger that the service has secrets for; without a branch it is the service's own.
        const auto asPullRequest =
            _daemon.post("/api/runs", R"({"service":"payment","triggerType":"PR_OPEN","commit":")" +
                                          stolen + R"(","branch":"main"})");
        const std::string pull = asPullRequest.json()["id"].GetString();
        _daemon.waitForRun(pull, "SUCCESS");
        assertNoSecret(pull);
    }

    void testACommitThatIsCalledMainIsNone()
    {
        if (!canSandbox())
            return;
        start("");
        const std::string stolen = attack();
        const std::string starter = token("starter", "run");
        for (const char* branch : {R"("branch":"main",)", ""})
            for (const std::string& commit :
                 {stolen, stolen.substr(0, 12), std::string("feature/x")})
            {
                const Answer answer = as(starter, "POST", "/api/runs",
                                         R"({"service":"payment",)" + std::string(branch) +
                                             R"("commit":")" + commit + "\"}");
                CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
                const std::string run = answer.json()["id"].GetString();
                _daemon.waitForRun(run, "FAILURE");
                CPPUNIT_ASSERT_MESSAGE(logsOf(run),
                                       contains(logsOf(run), "is not on the branch 'main'"));
                CPPUNIT_ASSERT_EQUAL(std::string("IDLE"),
                                     _daemon.detail(_daemon.stagesOf(run)[1], "status"));
                assertNoSecret(run);
            }
        const Answer right =
            as(starter, "POST", "/api/runs",
               R"({"service":"payment","branch":"main","commit":")" + _main + "\"}");
        _daemon.waitForRun(right.json()["id"].GetString(), "SUCCESS");
    }

    void testAForksSubmodulesAreRefused()
    {
        if (!canSandbox())
            return;
        start("forks: allow\n");
        const std::string hidden = (_daemon.folder() / "private").string();
        git("init -q -b main " + hidden);
        runProgram({"/bin/sh", "-ec", "echo private-content > " + hidden + "/private.txt"},
                   _daemon.folder());
        git("-C " + hidden + " add -A");
        git("-C " + hidden + " commit -q -m private");
        git("-C " + origin() + " checkout -q -b stranger main");
        git("-C " + origin() + " -c protocol.file.allow=always submodule --quiet add " + hidden +
            " stolen");
        write("build.sh", "cat stolen/private.txt");
        const std::string stolen = commit("add a submodule");
        leaveAsFork("stranger");
        const Answer answer = deliver(
            "pull_request", "1",
            pullRequestJson(
                {.repository = name(), .commit = stolen, .headRepository = "mallory/payment"}, ""));
        const std::string run = answer.json()["runIds"][0].GetString();
        _daemon.waitForRun(run, "FAILURE");
        CPPUNIT_ASSERT_MESSAGE(logsOf(run), contains(logsOf(run), "a fork may not add one"));
        CPPUNIT_ASSERT(!contains(logsOf(run), "private-content"));
    }

    void testForksRunNothingUnlessAllowed()
    {
        start("");
        const std::string stolen = attack();
        const Answer answer = deliver(
            "pull_request", "1",
            pullRequestJson(
                {.repository = name(), .commit = stolen, .headRepository = "mallory/payment"}, ""));
        CPPUNIT_ASSERT_EQUAL(200, answer.status);
        CPPUNIT_ASSERT(contains(answer.body, "forks run nothing"));
        const Answer asked = _daemon.post(
            "/api/runs",
            R"({"service":"payment","fork":true,"pullNumber":7,"triggerType":"PR_OPEN",)"
            R"("commit":")" +
                stolen + "\"}");
        CPPUNIT_ASSERT_EQUAL(400, asked.status);
        CPPUNIT_ASSERT_EQUAL(std::string("forks_run_nothing"), codeOf(asked));
        CPPUNIT_ASSERT_EQUAL(0U, _daemon.get("/api/runs").json().Size());
    }

    void testARequestForAForkNeedsItsFacts()
    {
        start("forks: allow\n");
        const std::string all =
            R"("commit":")" + _main + R"(","pullNumber":7,"triggerType":"PR_OPEN")";
        for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
                 {R"("fork":1,)" + all, "fork"},
                 {R"("fork":true,"pullNumber":7,"triggerType":"PR_OPEN")", "commit"},
                 {R"("fork":true,"triggerType":"PR_OPEN","commit":"a1b2")", "pullNumber"},
                 {R"("fork":true,"pullNumber":7,"commit":"a1b2")", "triggerType"},
                 {R"("fork":true,"baseBranch":"a..b",)" + all, "baseBranch"}})
        {
            const Answer answer =
                _daemon.post("/api/runs", R"({"service":"payment",)" + body + "}");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body + answer.body, 400, answer.status);
            CPPUNIT_ASSERT_EQUAL(field, std::string(answer.json()["error"]["field"].GetString()));
        }
        const Answer inlined = _daemon.post(
            "/api/runs", R"({"fork":true,"pipeline":{"stages":[{"type":"BUILD","plugin":"shell",)"
                         R"("with":{"command":"true"}}]},)" +
                             all + "}");
        CPPUNIT_ASSERT_EQUAL(400, inlined.status);
    }

private:
    static inline const std::string hookSecret = "correct horse battery staple";
    static inline const std::string npmToken = "npm-0123456789-token";
    static inline const std::string deployToken = "deploy-9876543210-token";

    static bool contains(const std::string& text, const std::string& part)
    {
        return text.find(part) != std::string::npos;
    }

    /// A way around the masking that no mask knows.
    static std::string reversed(std::string text)
    {
        std::reverse(text.begin(), text.end());
        return text;
    }

    [[nodiscard]] std::string origin() const { return (_daemon.folder() / "origin").string(); }

    /// As a forge would call it, whose URL is https:///PATH.git.
    [[nodiscard]] std::string name() const { return origin().substr(1); }

    void git(const std::string& arguments) const
    {
        const auto ended = runProgram(
            {"/bin/sh", "-ec", "git -c user.name=Ada -c user.email=ada@example.org " + arguments},
            _daemon.folder());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(arguments + ended.err, 0, ended.exitCode);
    }

    void write(const std::string& file, const std::string& script) const
    {
        std::filesystem::create_directories((std::filesystem::path(origin()) / file).parent_path());
        std::ofstream(std::filesystem::path(origin()) / file) << "#!/bin/sh\n" << script << "\n";
        std::filesystem::permissions(std::filesystem::path(origin()) / file,
                                     std::filesystem::perms::owner_all);
    }

    [[nodiscard]] std::string commit(const std::string& message) const
    {
        git("-C " + origin() + " add -A");
        git("-C " + origin() + " commit -q -m '" + message + "'");
        auto head =
            runProgram({"/usr/bin/git", "-C", origin(), "rev-parse", "HEAD"}, _daemon.folder()).out;
        return head.substr(0, 40);
    }

    /// The forge shows a fork's commit as that of a pull request; no branch has it.
    void leaveAsFork(const std::string& branch) const
    {
        git("-C " + origin() + " update-ref refs/pull/7/head " + branch);
        git("-C " + origin() + " checkout -q main");
        git("-C " + origin() + " branch -q -D " + branch);
    }

    /// What changes all that a repository can, to print secrets and to deploy. It is the branch feature/x, and what a fork
    /// proposes too. Returns the commit.
    [[nodiscard]] std::string attack() const
    {
        git("-C " + origin() + " checkout -q -b feature/x main");
        const std::string steal =
            "{ env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; "
            "cat " +
            (_daemon.folder() / "secrets").string() + "/* " + _daemon.state().string() +
            "/record.db* " + _daemon.state().string() +
            "/admin.token; "
            "grep -rsh -e npm-0123 -e deploy-9876 . .git \"$HOME\" /tmp /run /etc /dev/shm; "
            "ls -l /proc/self/fd; git config -l; } 2>/dev/null | tr '\\0' '\\n' | rev\n"
            "mkdir -p .git/hooks plugins/shell; cp \"$0\" .git/hooks/post-checkout; "
            "cp \"$0\" .git/hooks/pre-commit; cp \"$0\" \"$HOME/.profile\"; "
            "git config core.hooksPath hooks; git config core.fsmonitor ./build.sh; "
            "printf '{\"DEPLOY_TOKEN\": \"x\", \"commitHash\": \"" +
            _main + "\", \"branch\": \"main\"}' >\"$STAGE_OUTPUTS\"; ./deploy.sh; true";
        write("build.sh", steal);
        write("deploy.sh", "{ env; echo \"$DEPLOY_TOKEN$NPM_TOKEN\"; } | rev");
        write("hooks/post-checkout", steal);
        write(".githooks/post-checkout", steal);
        write("plugins/shell/run.sh", steal);
        std::ofstream(std::filesystem::path(origin()) / "plugins/shell/plugin.yaml")
            << "name: shell\nrun: [./run.sh]\n";
        std::ofstream(std::filesystem::path(origin()) / ".stage-agent.yaml")
            << "secrets: [DEPLOY_TOKEN]\nstages: [{ type: OTHER, plugin: shell, with: { command: "
               "./deploy.sh }, secrets: [DEPLOY_TOKEN] }]\n";
        std::ofstream(std::filesystem::path(origin()) / ".gitattributes")
            << "* filter=steal\n*.sh export-subst\n";
        std::string id = commit("take all");
        git("-C " + origin() + " update-ref refs/pull/7/head HEAD");
        git("-C " + origin() + " checkout -q main");
        return id;
    }

    void start(const std::string& keys)
    {
        _daemon.writeService(
            "payment",
            "name: payment\nrepository: " + origin() + "\nbranch: main\n" + keys +
                "secrets: [NPM_TOKEN]\ngrants:\n"
                "  NPM_TOKEN: { types: [BUILD], branches: [main] }\n"
                "  DEPLOY_TOKEN: { types: [DEPLOY_PROD], branches: [main, 'release/*'] }\n"
                "on: { push: { branches: ['*'] }, pull_request: true }\nstages:\n"
                "- { type: PREPARE, plugin: git, with: { submodules: true } }\n"
                "- { type: BUILD, plugin: shell, with: { command: ./build.sh } }\n"
                "- { type: OTHER, plugin: shell, with: { command: ./build.sh } }\n"
                "- { type: DEPLOY_PROD, plugin: shell, with: { command: ./deploy.sh }, secrets: "
                "[DEPLOY_TOKEN] }\n");
        _daemon.start();
    }

    Answer deliver(const std::string& event, const std::string& id, const std::string& body) const
    {
        auto headers = githubHeaders(event, id, body, hookSecret);
        headers["Authorization"] = "";
        return _daemon.request("POST", "/hooks/github", body, headers);
    }

    std::string pushed(const std::string& branch, const std::string& id) const
    {
        const HookFacts facts{.repository = name(), .ref = "refs/heads/" + branch, .commit = id};
        const Answer answer = deliver("push", "push " + id, pushJson(facts, ""));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
        return answer.json()["runIds"][0].GetString();
    }

    rapidjson::Document stage(const std::string& run, std::size_t ordinal) const
    {
        return _daemon.get("/api/stages/" + _daemon.stagesOf(run).at(ordinal)).json();
    }

    std::string logsOf(const std::string& run) const
    {
        std::string all;
        for (const auto& id : _daemon.stagesOf(run))
            all += _daemon.log(id) + _daemon.get("/api/stages/" + id).body;
        return all;
    }

    void assertNoSecret(const std::string& run) const
    {
        const std::string all = logsOf(run);
        for (const std::string& secret : {npmToken, deployToken, hookSecret})
            for (const std::string& text : {secret, reversed(secret)})
                CPPUNIT_ASSERT_MESSAGE(all, !contains(all, text));
        CPPUNIT_ASSERT(!contains(all, reversed(admin())));
    }

    /// A fork's run: it went through, without secrets, deployments and the name of a branch.
    void assertHarmless(const std::string& run) const
    {
        _daemon.waitForRun(run, "SUCCESS");
        assertNoSecret(run);
        CPPUNIT_ASSERT_EQUAL(std::size_t(3), _daemon.stagesOf(run).size());
        for (std::size_t i = 0; i < 3; ++i)
        {
            CPPUNIT_ASSERT_EQUAL(0U, stage(run, i)["definition"]["secrets"].Size());
            CPPUNIT_ASSERT_EQUAL(std::string("sandbox"),
                                 std::string(stage(run, i)["isolation"].GetString()));
        }
        CPPUNIT_ASSERT(contains(logsOf(run), reversed("BRANCH=pull/")));
        const auto shown = _daemon.get("/api/runs/" + run).json();
        CPPUNIT_ASSERT(std::string(shown["branch"].GetString()).starts_with("pull/"));
    }

    std::string _main; ///< the newest commit that the owner made
};

CPPUNIT_TEST_SUITE_REGISTRATION(StrangersTest);
