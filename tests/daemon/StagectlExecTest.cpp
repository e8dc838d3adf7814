// `stagectl exec`: executes one stage of a service as in a run, without the agent.
#include "tests/support/Exec.h"
#include "tests/support/OtherBoot.h"
#include "tests/support/SmallDisk.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <set>
#include <sstream>

using agent::test::assertHas;
using agent::test::contentOf;
using agent::test::ExecPlace;
using agent::test::runProgram;

namespace fs = std::filesystem;

namespace
{

/// Prints a process's environment and attributes, one per line.
const std::string surroundings = R"sh(env | grep -v '^RUN_ID=\|^STAGE_ID=' | sort
umask; ulimit -a; pwd; ls -A
grep '^SigBlk\|^SigIgn\|^Cap\|^NoNewPrivs' /proc/self/status
cat /proc/self/oom_score_adj
for fd in 0 1 2 3 4 5; do test -e /proc/$$/fd/$fd && echo fd $fd; done
readlink /proc/$$/fd/0
test $$ = "$(cut -d ' ' -f 6 /proc/$$/stat)" && echo leads its session)sh";

std::string replaced(std::string text, const std::string& from, const std::string& to)
{
    for (auto at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    return text;
}

/// Returns every file below `folder` with its size and time.
std::string treeOf(const fs::path& folder)
{
    std::set<std::string> lines;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        lines.insert(entry.path().string() + " " +
                     (entry.is_regular_file() ? std::to_string(entry.file_size()) : "") + " " +
                     std::to_string(entry.last_write_time().time_since_epoch().count()));
    std::string all;
    for (const auto& line : lines)
        all += line + "\n";
    return all;
}

} // namespace

class StagectlExecTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagectlExecTest);
    CPPUNIT_TEST(testTheEnvironmentEqualsThatOfARun);
    CPPUNIT_TEST(testLeavesTheDaemonAndItsStateAlone);
    CPPUNIT_TEST(testChecksOutTheRequestedCommit);
    CPPUNIT_TEST(testMasksSecrets);
    CPPUNIT_TEST(testAFailedStageReportsItsCause);
    CPPUNIT_TEST(testEnforcesTimeLimits);
    CPPUNIT_TEST(testInvalidOutputsAreAFailure);
    CPPUNIT_TEST(testAFailingPrepareSkipsTheStage);
    CPPUNIT_TEST(testUsesAndKeepsAGivenWorkspace);
    CPPUNIT_TEST(testGitNeedsYesToEmptyAGivenWorkspace);
    CPPUNIT_TEST(testExecutesInACopyOfWhatARunLeft);
    CPPUNIT_TEST(testWithBeforeExecutesAllButDeployments);
    CPPUNIT_TEST(testKeepKeepsTheFolder);
    CPPUNIT_TEST(testRemovesReadOnlyFolders);
    CPPUNIT_TEST(testTakesAStageByNameTypeOrNumber);
    CPPUNIT_TEST(testUnknownNamesListTheKnownOnes);
    CPPUNIT_TEST(testDeploymentsNeedYes);
    CPPUNIT_TEST(testExternalIsRefused);
    CPPUNIT_TEST(testChecksVariablesAsForRuns);
    CPPUNIT_TEST(testReportsInvalidConfigurations);
    CPPUNIT_TEST(testReportsAnUnusableTemporaryFolder);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTheEnvironmentEqualsThatOfARun()
    {
        const auto origin = _place.repository("source");
        _place.daemon.writeSecret("TOKEN", "hunter22\n");
        _place.daemon.writeService(
            "app", "name: app\nrepository: " + origin +
                       "\nbranch: main\nenv: { MODE: test, GREETING: hello }\nsecrets: [TOKEN]\n"
                       "stages:\n  - { type: PREPARE, plugin: git }\n"
                       "  - type: BUILD\n    plugin: shell\n    with:\n      command: |\n        " +
                       replaced(surroundings, "\n", "\n        ") + "\n");
        _place.daemon.start();
        const auto answer = _place.daemon.post(
            "/api/runs", R"({"service":"app","branch":"main","env":{"MORE":"a = b"}})");
        const std::string run = answer.json()["id"].GetString();
        _place.daemon.waitForRun(run, "SUCCESS");
        const auto inRun = _place.daemon.log(_place.daemon.stagesOf(run)[1]);

        const auto ended =
            _place.exec({"app", "BUILD", "--branch", "main", "--env", "MORE=a = b", "--keep"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
        const auto state = _place.daemon.state() / "runs" / run.substr(0, 2) / run;
        for (const char* part :
             {"TOKEN=***\n", "OUTPUT_COMMITHASH=", "MORE=a = b\n", "MODE=test\n"})
            assertHas(inRun, part);
        CPPUNIT_ASSERT_EQUAL(replaced(inRun, state.string(), "FOLDER"),
                             replaced(ended.out, keptFolder().string(), "FOLDER"));
    }

    void testLeavesTheDaemonAndItsStateAlone()
    {
        _place.app({{"BUILD", "echo built"}});
        _place.daemon.start();
        _place.daemon.waitForRun(_place.daemon.submitService("app"), "SUCCESS");
        agent::test::waitUntilSynced(_place.daemon.state());
        auto before = treeOf(_place.daemon.state());
        int looks = 0; // that saw no change: what has ended is synced in the background
        agent::test::waitFor("the daemon to be at rest",
                             [&]
                             {
                                 const auto now = treeOf(_place.daemon.state());
                                 looks = now == before ? looks + 1 : 0;
                                 before = now;
                                 return looks == 20;
                             });
        CPPUNIT_ASSERT_EQUAL(std::string("built\n"), _place.exec(0, {"app", "BUILD"}).out);
        CPPUNIT_ASSERT_EQUAL(before, treeOf(_place.daemon.state()));
        CPPUNIT_ASSERT(_place.daemon.alive());
        CPPUNIT_ASSERT_EQUAL(0, _place.daemon.stop());
        // Also without any state of a daemon.
        fs::remove_all(_place.daemon.state());
        CPPUNIT_ASSERT_EQUAL(std::string("built\n"), _place.exec(0, {"app", "BUILD"}).out);
        CPPUNIT_ASSERT(!fs::exists(_place.daemon.state()));
    }

    void testChecksOutTheRequestedCommit()
    {
        const auto origin = _place.repository("first");
        const auto first = _place.sh("git -C " + origin + " rev-parse HEAD").substr(0, 40);
        _place.sh("cd " + origin +
                  "; git checkout -q -b side; printf second > file; git -c "
                  "user.name=Ada -c user.email=a@example.org commit -q -a -m two");
        _place.daemon.writeService(
            "app", "name: app\nrepository: " + origin +
                       "\nbranch: main\nstages:\n  - { type: PREPARE, plugin: git }\n"
                       "  - { type: UNIT_TEST, plugin: shell, with: { command: 'false' } }\n"
                       "  - { type: BUILD, plugin: shell, with: { command: 'cat file; echo; "
                       "echo $COMMIT_HASH' } }\n");
        const auto main = _place.exec(0, {"app", "BUILD"});
        CPPUNIT_ASSERT_EQUAL("first\n" + first + "\n", main.out);
        assertHas(main.err,
                  "git: checked out " + first.substr(0, 12)); // not part of the stage's log
        assertHas(main.err, "exec: app: PREPARE (git) in " + _place.temporary());
        assertHas(_place.exec(0, {"app", "BUILD", "--branch", "side"}).out, "second\n");
        assertHas(_place.exec(0, {"app", "BUILD", "--branch", "side", "--commit", first}).out,
                  "first\n");
    }

    void testMasksSecrets()
    {
        _place.daemon.writeSecret("TOKEN", "hunter22\n");
        _place.app(
            {{"PREPARE", R"(echo "{\"note\": \"of $TOKEN\"}" > $STAGE_OUTPUTS; echo $TOKEN)"},
             {"BUILD", R"(echo "$OUTPUT_NOTE, $TOKEN"; echo "{\"$TOKEN\": 1}" >)"
                       " $STAGE_OUTPUTS"}},
            "secrets: [TOKEN]\n");
        const auto ended = _place.exec(1, {"app", "BUILD", "--raw"});
        CPPUNIT_ASSERT_EQUAL(std::string("of ***, ***\n"), ended.out);
        assertHas(ended.err, "'***' is no string");
        CPPUNIT_ASSERT_MESSAGE(ended.err, ended.err.find("hunter22") == std::string::npos);
    }

    void testAFailedStageReportsItsCause()
    {
        _place.app({{"BUILD", "echo broken >&2; exit 3"}, {"OTHER", "kill -SEGV $$"}});
        const auto ended = _place.exec(1, {"app", "BUILD"});
        CPPUNIT_ASSERT_EQUAL(std::string("broken\n"), ended.out);
        assertHas(ended.err, "exec: BUILD ended in FAILURE after 0.");
        assertHas(ended.err, ": cause EXIT, exit code 3: exited with code 3\n");
        assertHas(_place.exec(1, {"app", "OTHER"}).err,
                  "cause SIGNAL, signal 11: ended by SIGSEGV");
        _place.app({{"BUILD", "true"}}, "secrets: [ABSENT]\n");
        assertHas(_place.exec(1, {"app", "BUILD"}).err, "cause PLUGIN_ERROR: secret 'ABSENT'");
    }

    void testEnforcesTimeLimits()
    {
        _place.app({{"BUILD", "sleep 971"}});
        assertHas(_place.exec(1, {"app", "BUILD", "-D", "stage.timeout=100ms"}).err,
                  "cause TIMEOUT: ran past its timeout of 100 ms");
    }

    void testInvalidOutputsAreAFailure()
    {
        _place.app({{"PREPARE", "echo nonsense > $STAGE_OUTPUTS"}, {"BUILD", "true"}});
        assertHas(_place.exec(1, {"app", "BUILD"}).err,
                  "cause PLUGIN_ERROR, exit code 0: the file of $STAGE_OUTPUTS can't be used");
    }

    void testAFailingPrepareSkipsTheStage()
    {
        _place.app({{"PREPARE", "printf 'no sources'; exit 4"}, {"BUILD", "echo built"}});
        const auto ended = _place.exec(1, {"app", "BUILD"});
        CPPUNIT_ASSERT_EQUAL(std::string(), ended.out);
        assertHas(ended.err, "no sources\nexec: PREPARE ended in FAILURE");
        assertHas(ended.err, "exec: so the stage that was asked for is not executed\n");
        // A PREPARE stage can be the stage itself.
        CPPUNIT_ASSERT_EQUAL(std::string("no sources"), _place.exec(1, {"app", "PREPARE"}).out);
    }

    void testUsesAndKeepsAGivenWorkspace()
    {
        fs::create_directories(_place.at("mine/below"));
        _place.app({{"PREPARE", "exit 4"}, {"BUILD", "pwd; echo $WORKSPACE; touch made"}});
        const auto mine = fs::canonical(_place.at("mine")).string();
        const auto ended = _place.exec(0, {"app", "BUILD", "--workspace", "mine/below/.."});
        CPPUNIT_ASSERT_EQUAL(mine + "\n" + mine + "\n", ended.out);
        CPPUNIT_ASSERT(fs::exists(_place.at("mine/made")) && fs::exists(_place.at("mine/below")));
        assertHas(_place.exec(2, {"app", "BUILD", "--workspace", "absent"}).err,
                  "--workspace absent: No such file or directory");
        assertHas(_place.exec(2, {"app", "BUILD", "--workspace", _place.configuration()}).err,
                  "Not a directory");
    }

    void testGitNeedsYesToEmptyAGivenWorkspace()
    {
        _place.daemon.writeService("app", "name: app\nrepository: " + _place.repository("source") +
                                              "\nstages: [{ type: PREPARE, plugin: git }]\n");
        fs::create_directory(_place.at("mine"));
        std::ofstream(_place.at("mine/work")) << "of a day";
        const auto refused = _place.exec(2, {"app", "PREPARE", "--workspace", "mine"});
        assertHas(refused.err, "empties its workspace");
        CPPUNIT_ASSERT_EQUAL(std::string("of a day"), contentOf(_place.at("mine/work")));
        _place.exec(0, {"app", "PREPARE", "--workspace", "mine", "--yes"});
        CPPUNIT_ASSERT_EQUAL(std::string("source"), contentOf(_place.at("mine/file")));
    }

    void testExecutesInACopyOfWhatARunLeft()
    {
        _place.app(
            {{"BUILD",
              "mkdir -p dist/deep; echo built > dist/deep/file; touch -d 2001-02-03 dist/old; "
              "ln -s deep/file dist/link; mkfifo dist/fifo; chmod 755 dist/deep/file"},
             {"UNIT_TEST", "test -x dist/deep/file; cat dist/link; date -r dist/old +%Y; ls dist; "
                           "echo changed > dist/deep/file"}});
        _place.daemon.start();
        const std::string run = _place.daemon.submitService("app");
        _place.daemon.waitForRun(run, "SUCCESS");
        const auto from = [&](const std::string& name)
        {
            auto line =
                _place.line({"app", "UNIT_TEST", "--from", name, "--agent", _place.daemon.url()});
            const auto ended = runProgram(line, _place.daemon.folder(), _place.environment());
            CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
            return ended.out;
        };
        // The run's own stage has changed its workspace; what is executed here does not.
        CPPUNIT_ASSERT_EQUAL(std::string("changed\n2001\ndeep\nlink\nold\n"), from(run));
        _place.sh("echo again > " + workspaceOf(run) + "/dist/deep/file");
        CPPUNIT_ASSERT_EQUAL(std::string("again\n2001\ndeep\nlink\nold\n"), from("app"));
        CPPUNIT_ASSERT_EQUAL(std::string("again\n"),
                             contentOf(workspaceOf(run) + "/dist/deep/file"));
        assertHas(_place.exec(2, {"app", "UNIT_TEST", "--from", "/", "--with-before"}).err,
                  "exclude each other");
    }

    void testWithBeforeExecutesAllButDeployments()
    {
        _place.app({{"PREPARE", "echo prepared > a"},
                    {"BUILD", "cat a; echo built > b"},
                    {"DEPLOY_STAGING", "echo deployed > c"},
                    {"INTEGRATION_TEST", "cat a b; ls"}});
        const auto ended = _place.exec(0, {"app", "INTEGRATION_TEST", "--with-before"});
        CPPUNIT_ASSERT_EQUAL(std::string("prepared\nbuilt\na\nb\n"), ended.out);
    }

    void testKeepKeepsTheFolder()
    {
        _place.app({{"PREPARE", "echo sources > a"}, {"BUILD", "echo built; cp a b; exit 3"}});
        const auto ended = _place.exec({"app", "BUILD", "--keep"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 1, ended.exitCode);
        const auto folder = keptFolder();
        assertHas(ended.err, "\nexec: kept " + folder.string() + "\n");
        CPPUNIT_ASSERT_EQUAL(std::string("sources\n"), contentOf(folder / "workspace/b"));
        CPPUNIT_ASSERT_EQUAL(std::string("built\n"), contentOf(folder / "1-BUILD/1/log"));
        CPPUNIT_ASSERT_EQUAL(fs::perms::owner_all, fs::status(folder).permissions());
    }

    void testRemovesReadOnlyFolders()
    {
        fs::create_directory(_place.at("outside"));
        std::ofstream(_place.at("outside/file")) << "stays";
        _place.app(
            {{"BUILD", "ln -s " + _place.at("outside") +
                           " link; i=0; while [ $i -lt 300 ]; do mkdir deeper-and-deeper; "
                           "cd -P deeper-and-deeper; i=$((i + 1)); done\ntouch x; chmod 0 ."}});
        _place.exec(0, {"app", "BUILD"});
        CPPUNIT_ASSERT_EQUAL(std::string("stays"), contentOf(_place.at("outside/file")));
    }

    void testTakesAStageByNameTypeOrNumber()
    {
        _place.daemon.writeService(
            "app", "name: app\nid: 6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10\nstages:\n"
                   "  - { type: UNIT_TEST, name: Unit tests, plugin: shell, with: { command: echo "
                   "a } }\n  - { type: BUILD, plugin: shell, with: { command: echo b } }\n"
                   "  - { type: OTHER, plugin: shell, with: { command: echo c } }\n"
                   "  - { type: OTHER, plugin: shell, with: { command: echo d } }\n");
        const auto said = [&](const std::string& stage) {
            return _place.exec(0, {"6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10", stage}).out;
        };
        CPPUNIT_ASSERT_EQUAL(std::string("a\n"), said("Unit tests"));
        CPPUNIT_ASSERT_EQUAL(std::string("a\n"), said("unit-test"));
        CPPUNIT_ASSERT_EQUAL(std::string("b\n"), said("build"));
        CPPUNIT_ASSERT_EQUAL(std::string("d\n"), said("3"));
        assertHas(_place.exec(2, {"app", "OTHER"}).err,
                  "'OTHER' fits several stages; give the number of one: 0 Unit tests (UNIT_TEST), "
                  "1 BUILD, 2 OTHER, 3 OTHER");
    }

    void testUnknownNamesListTheKnownOnes()
    {
        assertHas(_place.exec(4, {"app", "BUILD"}).err, "services.dir declares none");
        _place.app({{"PREPARE", "true"}, {"BUILD", "true"}});
        _place.daemon.writeService("wrong", "name: wrong\nstages: []\n");
        assertHas(_place.exec(4, {"app", "--", "-x"}).err,
                  "exec: no stage is named '-x'; there are: 0 PREPARE, 1 BUILD\n");
        assertHas(_place.exec(4, {"unknown", "BUILD"}).err,
                  "exec: no service is named 'unknown'; there are: app\n");
        const auto refused = _place.exec(2, {"wrong", "BUILD"});
        assertHas(refused.err, "exec: the service 'wrong' is declared, but refused:\n");
        assertHas(refused.err, "wrong.yaml:2: stages");
    }

    void testDeploymentsNeedYes()
    {
        _place.daemon.writeService(
            "app", "name: app\nstages:\n"
                   "  - { type: DEPLOY_PROD, plugin: shell, with: { command: echo out } }\n"
                   "  - { type: OTHER, plugin: shell, approval: required, with: { command: echo "
                   "approved } }\n");
        for (const char* stage : {"DEPLOY_PROD", "OTHER"})
        {
            const auto refused = _place.exec(2, {"app", stage});
            CPPUNIT_ASSERT_EQUAL(std::string(), refused.out);
            assertHas(refused.err, "to execute it all the same, say --yes");
        }
        CPPUNIT_ASSERT_EQUAL(std::string("out\n"), _place.exec(0, {"app", "0", "--yes"}).out);
        CPPUNIT_ASSERT_EQUAL(std::string("approved\n"), _place.exec(0, {"app", "1", "--yes"}).out);
    }

    void testExternalIsRefused()
    {
        _place.daemon.writeService("app", "name: app\nstages:\n"
                                          "  - { type: PREPARE, plugin: external }\n"
                                          "  - { type: BUILD, plugin: shell, with: { command: "
                                          "'true' } }\n");
        for (const char* stage : {"PREPARE", "BUILD"})
            assertHas(_place.exec(2, {"app", stage}).err,
                      "the work of the stage 'PREPARE' is done elsewhere (plugin external)");
    }

    void testChecksVariablesAsForRuns()
    {
        _place.app({{"BUILD", "echo \"$A|$B\""}}, "env: { A: of the service }\n");
        CPPUNIT_ASSERT_EQUAL(
            std::string("x=y:z|\n"),
            _place.exec(0, {"app", "BUILD", "--env", "A=x=y:z", "--env", "B="}).out);
        for (const char* wrong : {"STAGE_ID=1", "A", "=1", "1A=b", "A=\x1b", "A=\xff"})
            assertHas(_place.exec(2, {"app", "BUILD", "--env", wrong}).err, "exec: --env");
        assertHas(_place.exec(2, {"app", "BUILD", "--branch", "a..b"}).err, "--branch must not");
        assertHas(_place.exec(2, {"app", "BUILD", "--commit", "a b"}).err, "--commit holds blanks");
    }

    void testReportsInvalidConfigurations()
    {
        _place.app({{"BUILD", "true"}});
        assertHas(_place.exec(2, {"app", "BUILD", "-D", "stage.grace=soon"}).err, "stage.grace");
        const auto absent =
            runProgram({STAGE_AGENT_BIN_DIR "/stagectl", "exec", "app", "BUILD", "-c", "absent"},
                       _place.daemon.folder());
        CPPUNIT_ASSERT_EQUAL(2, absent.exitCode);
        assertHas(absent.err, "the configuration absent can't be read: No such file or directory");
        CPPUNIT_ASSERT_EQUAL(2, _place.exec({"app"}).exitCode);
        const auto stray =
            runProgram({STAGE_AGENT_BIN_DIR "/stage-agent", "--keep"}, _place.daemon.folder());
        CPPUNIT_ASSERT_EQUAL(2, stray.exitCode);
        assertHas(stray.err, "--keep goes with --exec only");
    }

    void testReportsAnUnusableTemporaryFolder()
    {
        _place.app({{"BUILD", "true"}});
        const auto in = [&](const std::string& folder) {
            return runProgram(_place.line({"app", "BUILD"}), _place.daemon.folder(),
                              {{"TMPDIR", folder}});
        };
        const auto absent = in("/nowhere/at/all");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(absent.err, 2, absent.exitCode);
        assertHas(absent.err,
                  "no folder can be made in /nowhere/at/all: No such file or directory");
        const agent::SmallDisk disk("4m"); // TSan keeps a nameless file of 256 KiB in TMPDIR
        if (!disk.mounted())
            return;
        disk.fill();
        const auto full = in(disk.path().string());
        CPPUNIT_ASSERT_MESSAGE(full.err, full.exitCode == 1 || full.exitCode == 2);
        assertHas(full.err, "No space left on device");
        disk.free();
        CPPUNIT_ASSERT(fs::is_empty(disk.path()));
        _place.app({{"BUILD", "yes > /dev/stderr"}});
        const auto filled = in(disk.path().string());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(filled.err, 1, filled.exitCode);
        assertHas(filled.err, "cause DISK_FULL: its log could not be written");
        CPPUNIT_ASSERT(fs::is_empty(disk.path()));
    }

private:
    [[nodiscard]] std::string workspaceOf(const std::string& run) const
    {
        return (_place.daemon.state() / "runs" / run.substr(0, 2) / run / "workspace").string();
    }

    [[nodiscard]] fs::path keptFolder() const
    {
        std::vector<fs::path> found;
        for (const auto& entry : fs::directory_iterator(_place.temporary()))
            found.push_back(entry.path());
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), found.size());
        return found.front();
    }

    ExecPlace _place;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlExecTest);
