// Workspaces that a service keeps (docs/workspaces.md): which run gets which, what it finds there, and for how long.
#include "tests/support/CanSandbox.h"
#include "tests/support/GitOrigin.h"
#include "tests/support/OtherBoot.h"
#include "tests/support/Stagectl.h"

#include <cppunit/extensions/HelperMacros.h>

using agent::test::Answer;
using agent::test::Daemon;
using agent::test::GitOrigin;
using agent::test::stagectlEnded;
using agent::test::waitFor;

namespace fs = std::filesystem;

class WorkspacesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(WorkspacesTest);
    CPPUNIT_TEST(testReuseKeepsWhatIsIgnoredAtTheSamePath);
    CPPUNIT_TEST(testSoItIsInASandbox);
    CPPUNIT_TEST(testCleanKeepsNothingButThePath);
    CPPUNIT_TEST(testLevelsNeverMeet);
    CPPUNIT_TEST(testACommitThatIsNotOnItsBranchTouchesNothing);
    CPPUNIT_TEST(testWithoutAProofStagesAreElsewhere);
    CPPUNIT_TEST(testOneRunAtATime);
    CPPUNIT_TEST(testItIsHeldUntilItsCachesAreSaved);
    CPPUNIT_TEST(testARetryAfterAnotherRunIsRefused);
    CPPUNIT_TEST(testTheDaemonsDeathGivesNothingAway);
    CPPUNIT_TEST(testAfterAPowerCutItIsNotUsedAgain);
    CPPUNIT_TEST(testItGoesWithItsRun);
    CPPUNIT_TEST(testItIsRemovedAfterItsTime);
    CPPUNIT_TEST(testWithoutARepository);
    CPPUNIT_TEST(testWithThePipelineInTheRepository);
    CPPUNIT_TEST(testWhatCanNotBeKeptIsRefused);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _daemon = std::make_unique<Daemon>();
        _origin = std::make_unique<GitOrigin>(_daemon->folder() / "origin");
        _origin->commit(".gitignore", "*.o\n");
        _main = _origin->commit("source", "one\n");
    }

    void testReuseKeepsWhatIsIgnoredAtTheSamePath()
    {
        service("reuse");
        _daemon->start();
        keepsWhatIsIgnored();
        const std::string id = run();
        const auto shown = stagectlEnded(*_daemon, 0, {"describe", _daemon->stagesOf(id)[1]});
        CPPUNIT_ASSERT_MESSAGE(shown.out, has(shown.out, "default-1 (reuse)"));
        CPPUNIT_ASSERT_EQUAL(folder("default-1").string(), workspaceOf(id));
    }

    void testSoItIsInASandbox()
    {
        if (!agent::test::canSandbox())
            return;
        service("reuse", "isolation: sandbox\n");
        _daemon->start();
        keepsWhatIsIgnored();
        // Of another branch, in the run's own.
        _origin->git("checkout -q -b feature");
        const std::string commit = _origin->commit("evil", "evil");
        const std::string log =
            logOf(run(R"("branch":"main","commit":")" + commit + "\"")); // a claim
        CPPUNIT_ASSERT_MESSAGE(log, has(log, "evil") && has(log, "/runs/") && !has(log, "left.o"));
        CPPUNIT_ASSERT(!fs::exists(folder("default-1") / "evil"));
        CPPUNIT_ASSERT(fs::exists(folder("default-1") / "left.o"));
    }

    void testCleanKeepsNothingButThePath()
    {
        service("clean");
        _daemon->start();
        const std::string first = logOf(run());
        const std::string second = logOf(run());
        CPPUNIT_ASSERT_MESSAGE(second, !has(second, "found: left.o") && !has(second, "new"));
        CPPUNIT_ASSERT_EQUAL(pathIn(first), pathIn(second));
    }

    void testLevelsNeverMeet()
    {
        service("reuse", "forks: allow\n");
        _origin->git("checkout -q -b feature");
        const std::string feature = _origin->commit("more", "x");
        _origin->git("checkout -q main");
        _daemon->start();
        const std::string pull = R"("triggerType":"PR_OPEN","pullNumber":7,"commit":")" + feature;
        const std::vector<std::pair<std::string, std::string>> runs{
            {"forks-1", R"("fork":true,)" + pull + "\""},
            {"pulls-1", R"("branch":"feature",)" + pull + "\""},
            {"branches-1", R"("branch":"feature")"},
            {"default-1", R"("branch":"main","commit":")" + _main + "\""}};
        for (const auto& [level, request] : runs)
        {
            const std::string log = logOf(run(request));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(log, folder(level).string(), pathIn(log));
            CPPUNIT_ASSERT_MESSAGE(log, !has(log, "found: left.o"));
        }
        for (const auto& [level, request] : runs)
            CPPUNIT_ASSERT_MESSAGE(level, has(logOf(run(request)), "found: left.o"));
    }

    void testACommitThatIsNotOnItsBranchTouchesNothing()
    {
        service("reuse");
        _origin->git("checkout -q -b feature");
        const std::string feature = _origin->commit("evil", "x");
        _origin->git("checkout -q main");
        _daemon->start();
        run();
        for (const std::string claim :
             {R"("branch":"main")", R"("branch":"gone")",
              R"("triggerType":"PR_OPEN","pullNumber":7,"branch":"main")"})
        {
            const std::string id = run(claim + R"(,"commit":")" + feature + "\"");
            const std::string log = logOf(id);
            CPPUNIT_ASSERT_MESSAGE(log, has(pathIn(log), id));
            CPPUNIT_ASSERT_MESSAGE(log, has(log, "evil"));
            const std::string said = _daemon->log(_daemon->stagesOf(id)[0]);
            CPPUNIT_ASSERT_MESSAGE(said, has(said, "not the kept one"));
        }
        const std::string log = logOf(run());
        CPPUNIT_ASSERT_MESSAGE(log, has(log, "found: left.o") && !has(log, "evil"));
    }

    void testWithoutAProofStagesAreElsewhere()
    {
        service("reuse", "",
                "  - {type: OTHER, plugin: shell, when: {run: always}, with: {command: "
                "'echo at $PWD; ls -A'}}\n");
        _daemon->start();
        run();
        const Answer made =
            _daemon->post("/api/runs", R"({"service":"built","branch":"main","commit":")" +
                                           std::string(40, 'a') + "\"}");
        const std::string id = made.json()["id"].GetString();
        // The run has failed before its last stage runs.
        const std::string last = _daemon->stagesOf(id)[2];
        _daemon->waitForStage(last, "SUCCESS");
        const std::string log = _daemon->log(last);
        CPPUNIT_ASSERT_MESSAGE(log, has(log, "at " + (_daemon->state() / "runs").string()));
        CPPUNIT_ASSERT_MESSAGE(log, !has(log, "left.o"));
    }

    void testOneRunAtATime()
    {
        _daemon->set("executor.slots", "2");
        service("reuse", "concurrency: 9\n", approved());
        _daemon->start();
        std::vector<std::string> ids;
        std::vector<std::string> paths;
        for (int i = 0; i < 3; ++i)
        {
            ids.push_back(waiting());
            paths.push_back(workspaceOf(ids.back()));
        }
        CPPUNIT_ASSERT_EQUAL(folder("default-1").string(), paths[0]);
        CPPUNIT_ASSERT_EQUAL(folder("default-2").string(), paths[1]);
        CPPUNIT_ASSERT_MESSAGE(paths[2], has(paths[2], ids[2])); // it does not wait for one
        CPPUNIT_ASSERT_EQUAL(200, _daemon->post("/api/runs/" + ids[1] + "/stop").status);
        _daemon->waitForRun(ids[1], "FAILURE");
        CPPUNIT_ASSERT_EQUAL(folder("default-2").string(), workspaceOf(waiting()));
    }

    void testItIsHeldUntilItsCachesAreSaved()
    {
        slowSaving();
        _daemon->set("executor.slots", "2");
        service(
            "reuse", "",
            "  - {type: OTHER, plugin: shell, with: {command: 'mkdir -p deps; echo x >deps/x'}, "
            "cache: [{key: k, paths: [deps]}]}\n");
        _daemon->start();
        CPPUNIT_ASSERT_EQUAL(folder("default-1").string(), workspaceOf(run()));
        CPPUNIT_ASSERT_EQUAL(folder("default-2").string(), workspaceOf(run()));
        const std::string third = run();
        CPPUNIT_ASSERT_MESSAGE(workspaceOf(third), has(workspaceOf(third), third));
        std::ofstream(_daemon->folder() / "go") << "";
        waitFor("the saves", [&] { return fs::is_empty(_daemon->state() / "caches/pending"); });
        waitFor("the first workspace", [&] { return workspaceOf(run()) == folder("default-1"); });
    }

    void testARetryAfterAnotherRunIsRefused()
    {
        service("reuse", "", "  - {type: OTHER, plugin: shell, with: {command: 'test -e now'}}\n");
        _daemon->start();
        const std::string first = failing();
        const std::string stage = _daemon->stagesOf(first)[2];
        // Nobody has had it yet.
        CPPUNIT_ASSERT_EQUAL(200, retry(stage).status);
        _daemon->waitForRun(first, "FAILURE");
        const std::string second = failing();
        const Answer refused = retry(stage);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(refused.body, 409, refused.status);
        CPPUNIT_ASSERT_MESSAGE(refused.body, has(refused.body, "workspace_reused") &&
                                                 has(refused.body, "rerun the run instead"));
        CPPUNIT_ASSERT_EQUAL(std::string(), workspaceOf(first));
        CPPUNIT_ASSERT_EQUAL(200, retry(_daemon->stagesOf(second)[2]).status);
        _daemon->waitForRun(second, "FAILURE");
    }

    void testTheDaemonsDeathGivesNothingAway()
    {
        _daemon->set("executor.slots", "2");
        service("reuse", "concurrency: 9\n",
                "  - {type: OTHER, plugin: shell, with: {command: 'touch at.o; while [ ! -e "
                "go.o ]; do sleep 0.05; done; ls; echo done'}}\n");
        _daemon->start();
        const std::string first = _daemon->submitService("built");
        waitFor("the stage to run", [&] { return fs::exists(folder("default-1") / "at.o"); });
        _daemon->kill();
        // What no run on record has had.
        fs::create_directories(folder("default-2") / "old");
        _daemon->start();
        const std::string second = _daemon->submitService("built");
        waitFor("the other one to run", [&] { return fs::exists(folder("default-2") / "at.o"); });
        CPPUNIT_ASSERT(!fs::exists(folder("default-2") / "old"));
        CPPUNIT_ASSERT(!fs::exists(folder("default-2") / "go.o"));
        for (const char* number : {"default-1", "default-2"})
            std::ofstream(folder(number) / "go.o") << "";
        _daemon->waitForRun(first, "SUCCESS");
        _daemon->waitForRun(second, "SUCCESS");
    }

    void testAfterAPowerCutItIsNotUsedAgain()
    {
        service("reuse");
        _daemon->start();
        run();
        CPPUNIT_ASSERT(has(logOf(run()), "found: left.o"));
        _daemon->kill();
        agent::test::forgetSyncs(_daemon->state());
        agent::test::moveToAnotherBoot(_daemon->state());
        _daemon->start();
        const std::string log = logOf(run());
        CPPUNIT_ASSERT_EQUAL(folder("default-1").string(), pathIn(log));
        CPPUNIT_ASSERT_MESSAGE(log, !has(log, "found: left.o"));
        CPPUNIT_ASSERT(has(logOf(run()), "found: left.o"));
    }

    void testItGoesWithItsRun()
    {
        service("reuse");
        _daemon->start();
        const std::string first = run();
        const std::string second = run();
        CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + first).status);
        CPPUNIT_ASSERT(fs::exists(folder("default-1"))); // it is the second one's
        CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + second).status);
        waitFor("the workspace to go", [&] { return !fs::exists(folder("default-1")); });
        CPPUNIT_ASSERT(!has(logOf(run()), "found: left.o"));
    }

    void testItIsRemovedAfterItsTime()
    {
        _daemon->set("workspace.keep", "1s");
        service("reuse");
        _daemon->start();
        const std::string id = run();
        waitFor("the workspace to go", [&] { return !fs::exists(folder("default-1")); });
        waitFor("the line",
                [&]
                {
                    return has(_daemon->output(), "kept workspace of run " + id +
                                                      " removed: older than workspace.keep, ");
                });
        CPPUNIT_ASSERT_EQUAL(std::string(), workspaceOf(id));
        CPPUNIT_ASSERT(!has(logOf(run()), "found: left.o"));
    }

    void testWithoutARepository()
    {
        for (const std::string mode : {"clean", "reuse"})
            _daemon->writeService(mode, "name: " + mode + "\nworkspace: " + mode +
                                            "\nstages:\n  - {type: BUILD, plugin: shell, with: "
                                            "{command: 'echo at $PWD; ls; touch left'}}\n");
        _daemon->start();
        for (const std::string mode : {"clean", "reuse"})
        {
            std::vector<std::string> logs;
            for (int i = 0; i < 2; ++i)
            {
                const std::string id = _daemon->submitService(mode);
                _daemon->waitForRun(id, "SUCCESS");
                logs.push_back(_daemon->log(_daemon->stagesOf(id)[0]));
            }
            CPPUNIT_ASSERT_EQUAL(logs[0] + (mode == "reuse" ? "left\n" : ""), logs[1]);
        }
    }

    void testWithThePipelineInTheRepository()
    {
        _origin->commit("ci.yaml", "stages:\n" + build());
        _daemon->writeService("built", "name: built\nrepository: " + _origin->path().string() +
                                           "\nbranch: main\nworkspace: reuse\npipeline: ci.yaml\n");
        _daemon->start();
        keepsWhatIsIgnored();
    }

    void testWhatCanNotBeKeptIsRefused()
    {
        const std::string begin = "name: built\nrepository: " + _origin->path().string() + "\n";
        const std::string stages = "stages:\n  - {type: PREPARE, plugin: git}\n";
        for (const auto& [yaml, why] : std::vector<std::pair<std::string, std::string>>{
                 {begin + "workspace: reuse\n" + stages, "needs the key branch"},
                 {begin + "branch: main\nworkspace: old\n" + stages, "fresh, clean"},
                 {begin + "branch: main\nworkspace: clean\nstages:\n" + build(),
                  "needs the checkout as the first stage"},
                 {begin +
                      "branch: main\nworkspace: clean\nstages:\n  - {type: PREPARE, plugin: git, "
                      "with: {ref: v1}}\n",
                  "needs the checkout as the first stage"},
                 {begin +
                      "branch: main\nworkspace: clean\nstages:\n  - {type: PREPARE, plugin: git, "
                      "artifacts: [x]}\n",
                  "keeps no artifacts"}})
        {
            _daemon->writeService("built", yaml);
            std::string said;
            CPPUNIT_ASSERT(_daemon->runToEnd({"--check"}, said) != 0);
            CPPUNIT_ASSERT_MESSAGE(said, has(said, "workspace: ") && has(said, why));
        }
    }

private:
    static bool has(const std::string& text, const std::string& part)
    {
        return text.find(part) != std::string::npos;
    }

    static std::string build()
    {
        return "  - {type: BUILD, plugin: shell, with: {command: 'echo at $PWD; for f in *; do "
               "echo "
               "found: $f; done; touch left.o new'}}\n";
    }

    static std::string approved()
    {
        return "  - {type: DEPLOY_PROD, plugin: shell, approval: required, with: {command: "
               "'true'}}\n";
    }

    void service(const std::string& mode, const std::string& keys = "",
                 const std::string& stages = "") const
    {
        _daemon->writeService("built", "name: built\nrepository: " + _origin->path().string() +
                                           "\nbranch: main\nworkspace: " + mode + "\n" + keys +
                                           "stages:\n  - {type: PREPARE, plugin: git}\n" + build() +
                                           stages);
    }

    /// The daemon's programs, with one for caches that saves nothing before there is `go`.
    void slowSaving() const
    {
        const fs::path programs = _daemon->folder() / "programs";
        fs::create_directories(programs);
        for (const char* name :
             {"stage-agent", "stage-shim", "stage-plugin-host", "stage-collector", "plugins"})
            fs::copy(fs::path(STAGE_AGENT_BIN_DIR) / name, programs / name,
                     fs::copy_options::recursive);
        std::ofstream(programs / "stage-cache")
            << "#!/bin/sh\nwhile [ $1 = save ] && [ ! -e " << (_daemon->folder() / "go").string()
            << " ]; do sleep 0.02; done\nexec " << STAGE_AGENT_BIN_DIR << "/stage-cache \"$@\"\n";
        fs::permissions(programs / "stage-cache", fs::perms::owner_all);
        _daemon->setPrograms(programs);
    }

    void keepsWhatIsIgnored() const
    {
        const std::string first = logOf(run());
        CPPUNIT_ASSERT_EQUAL(folder("default-1").string(), pathIn(first));
        CPPUNIT_ASSERT_MESSAGE(first, !has(first, "found: left.o"));
        const std::string second = logOf(run());
        CPPUNIT_ASSERT_EQUAL(pathIn(first), pathIn(second));
        CPPUNIT_ASSERT_MESSAGE(second, has(second, "found: left.o") &&
                                           has(second, "found: source") &&
                                           !has(second, "found: new"));
    }

    /// Returns the id of a run that has ended well.
    std::string run(const std::string& more = "") const
    {
        const Answer made = _daemon->post("/api/runs", R"({"service":"built")" +
                                                           (more.empty() ? "" : "," + more) + "}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        std::string id = made.json()["id"].GetString();
        _daemon->waitForRun(id, "SUCCESS");
        return id;
    }

    [[nodiscard]] std::string failing() const
    {
        std::string id = _daemon->submitService("built");
        _daemon->waitForRun(id, "FAILURE");
        return id;
    }

    [[nodiscard]] std::string waiting() const
    {
        std::string id = _daemon->submitService("built");
        _daemon->waitForRun(id, "AWAITING_APPROVAL");
        return id;
    }

    [[nodiscard]] Answer retry(const std::string& stage) const
    {
        return _daemon->patch("/api/stages/" + stage, R"({"status":"IDLE"})");
    }

    /// Of the stage BUILD.
    [[nodiscard]] std::string logOf(const std::string& id) const
    {
        return _daemon->log(_daemon->stagesOf(id)[1]);
    }

    static std::string pathIn(const std::string& log)
    {
        CPPUNIT_ASSERT_MESSAGE(log, log.starts_with("at "));
        return log.substr(3, log.find('\n') - 3);
    }

    /// As the detail view of its stages says; empty: null.
    [[nodiscard]] std::string workspaceOf(const std::string& id) const
    {
        const auto shown = _daemon->get("/api/stages/" + _daemon->stagesOf(id)[1]).json();
        const auto& workspace = shown["definition"]["workspace"];
        return workspace.IsNull() ? "" : workspace.GetString();
    }

    /// A kept workspace of the one service that keeps any.
    [[nodiscard]] fs::path folder(const std::string& name) const
    {
        for (const auto& service : fs::directory_iterator(_daemon->state() / "workspaces"))
            return service.path() / name;
        CPPUNIT_FAIL("no service keeps a workspace");
        return {};
    }

    std::unique_ptr<Daemon> _daemon;
    std::unique_ptr<GitOrigin> _origin;
    std::string _main;
};

CPPUNIT_TEST_SUITE_REGISTRATION(WorkspacesTest);
