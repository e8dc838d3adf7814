// What stages make is kept, as the record says, for as long as it should: docs/artifacts.md.
#include "tests/support/Artifacts.h"
#include "tests/support/Daemon.h"
#include "tests/support/OwnPrograms.h"

#include "agent/store/ArtifactSets.h"
#include "agent/store/RunStore.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>
#include <fstream>

using agent::Database;
using agent::Stage;
using agent::test::Daemon;
using agent::test::waitFor;

namespace fs = std::filesystem;

class ArtifactKeepingTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ArtifactKeepingTest);
    CPPUNIT_TEST(testOutliveTheirWorkspace);
    CPPUNIT_TEST(testOfASandboxedStageAreKept);
    CPPUNIT_TEST(testARequiredOneThatIsMissingFailsTheStage);
    CPPUNIT_TEST(testGoWhenTheirTimeHasCome);
    CPPUNIT_TEST(testGoWithTheirRun);
    CPPUNIT_TEST(testEachAttemptHasItsOwn);
    CPPUNIT_TEST(testADaemonThatDiesMeanwhileFindsThem);
    CPPUNIT_TEST(testOfALostShimNothingStays);
    CPPUNIT_TEST(testASetWithoutARowIsFound);
    CPPUNIT_TEST_SUITE_END();

public:
    void testOutliveTheirWorkspace()
    {
        _daemon.set("workspace.keep", "1ms");
        _daemon.start();
        const auto run = _daemon.submit(stage("mkdir dist; echo one >dist/a", R"(["dist/**"])"));
        _daemon.waitForRun(run, "SUCCESS");
        waitFor("the workspace to go", [&] { return !fs::exists(folderOf(run) / "workspace"); });
        const Stage kept = stageOf(run);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, kept.artifactFiles.value_or(-1));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{4}, kept.artifactBytes.value_or(-1));
        assertWhole(kept);
        // A stage without any has none on record, and no store either.
        _daemon.start();
        const auto other = _daemon.submit(stage("true", ""));
        _daemon.waitForRun(other, "SUCCESS");
        CPPUNIT_ASSERT(!stageOf(other).artifactFiles);
    }

    void testOfASandboxedStageAreKept()
    {
        _daemon.sandbox();
        _daemon.start();
        const auto run =
            _daemon.submit(stage("mkdir dist; echo one >dist/a; ln -s /etc/passwd dist/b",
                                 R"({"paths": ["dist"], "name": "dist"})"));
        _daemon.waitForRun(run, "SUCCESS");
        const Stage kept = stageOf(run);
        CPPUNIT_ASSERT_EQUAL(std::string("ARTIFACTS"), kept.notes);
        CPPUNIT_ASSERT_EQUAL(std::string("files: not kept: dist/b (a symlink)"), kept.message);
        assertWhole(kept);
    }

    void testARequiredOneThatIsMissingFailsTheStage()
    {
        _daemon.start();
        const auto run =
            _daemon.submit(stage("true", R"({"paths": ["dist/**"], "required": true})"));
        _daemon.waitForRun(run, "FAILURE");
        const auto id = _daemon.stagesOf(run)[0];
        CPPUNIT_ASSERT_EQUAL(std::string("ARTIFACTS"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), _daemon.detail(id, "exitCode"));
        CPPUNIT_ASSERT_EQUAL(std::string("files: no file matches 'dist/**'"),
                             _daemon.detail(id, "message"));
    }

    void testGoWhenTheirTimeHasCome()
    {
        _daemon.set("artifacts.keep", "0");
        _daemon.start();
        const auto brief =
            _daemon.submit(stage("echo brief >a", R"({"paths": ["a"], "keep": "300ms"})"));
        const auto always = _daemon.submit(stage("echo always >a", R"(["a"])"));
        _daemon.waitForRun(brief, "SUCCESS");
        _daemon.waitForRun(always, "SUCCESS");
        waitFor("the content to go",
                [&] { return !fs::exists(object(agent::test::sha256Of("brief\n"))); });
        assertWhole(stageOf(always));
        // The row says what there was.
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, stageOf(brief).artifactFiles.value_or(-1));
        _daemon.set("artifacts.keep", "1ms");
        _daemon.start();
        // What was kept for as long as its run stays so.
        CPPUNIT_ASSERT(fs::exists(object(agent::test::sha256Of("always\n"))));
    }

    void testGoWithTheirRun()
    {
        _daemon.start();
        const auto first = _daemon.submit(stage("echo 1 >a; echo same >b", R"(["*"])"));
        const auto second = _daemon.submit(stage("echo 2 >a; echo same >b", R"(["*"])"));
        _daemon.waitForRun(first, "SUCCESS");
        _daemon.waitForRun(second, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(200, _daemon.request("DELETE", "/api/runs/" + first).status);
        waitFor("the content to go",
                [&] { return !fs::exists(object(agent::test::sha256Of("1\n"))); });
        assertWhole(stageOf(second));
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(
            200, _daemon.request("DELETE", "/api/stages/" + _daemon.stagesOf(second)[0]).status);
        waitFor("all to go", [&] { return agent::test::contentsIn(store()).empty(); });
    }

    void testEachAttemptHasItsOwn()
    {
        _daemon.start();
        const auto run = _daemon.submit(
            stage("echo $STAGE_ATTEMPT >a; test $STAGE_ATTEMPT = 2",
                  R"({"paths": ["a"], "when": "always"}, "retry": {"attempts": 2})"));
        _daemon.waitForRun(run, "SUCCESS");
        assertWhole(stageOf(run));
        const auto contents = agent::test::contentsIn(store());
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, contents.size());
    }

    /// The daemon is killed while the collector is at work, and another one takes the stage up.
    void testADaemonThatDiesMeanwhileFindsThem()
    {
        slowCollector();
        _daemon.start();
        const auto run = _daemon.submit(stage("echo one >a", R"(["a"])"));
        waitFor("the collector", [&] { return fs::exists(_daemon.folder() / "collecting"); });
        _daemon.kill();
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.statusOf(run));
        std::ofstream(_daemon.folder() / "go") << "x";
        _daemon.waitForRun(run, "SUCCESS");
        const Stage kept = stageOf(run);
        CPPUNIT_ASSERT_EQUAL(std::string(), kept.message);
        assertWhole(kept);
    }

    void testOfALostShimNothingStays()
    {
        slowCollector();
        _daemon.start();
        const auto run = _daemon.submit(stage("echo one >a", R"(["a"])"));
        waitFor("the collector", [&] { return fs::exists(_daemon.folder() / "collecting"); });
        const int collector =
            std::atoi(agent::test::bytesOf(_daemon.folder() / "collecting").c_str());
        std::ifstream status("/proc/" + std::to_string(collector) + "/status");
        std::string word;
        int shim = 0;
        while (status >> word)
            if (word == "PPid:")
                status >> shim;
        CPPUNIT_ASSERT(shim > 1);
        ::kill(shim, SIGKILL);
        _daemon.waitForRun(run, "FAILURE");
        waitFor("the collector's end", [&] { return ::kill(collector, 0) != 0; });
        const Stage lost = stageOf(run);
        CPPUNIT_ASSERT_EQUAL(std::string("SHIM_LOST"), std::string(toString(*lost.cause)));
        CPPUNIT_ASSERT(!lost.artifactFiles);
    }

    /// A daemon that dies between the removal of a row and that of its set leaves the set.
    void testASetWithoutARowIsFound()
    {
        _daemon.start();
        const auto run = _daemon.submit(stage("echo one >a", R"(["a"])"));
        _daemon.waitForRun(run, "SUCCESS");
        const Stage kept = stageOf(run);
        Database(_daemon.state() / "record.db").writer().execute("DELETE FROM artifact_sets");
        const auto foreign = store() / "sets" / "11111111-1111-4111-8111-111111111111" / "x.1";
        fs::create_directories(foreign);
        _daemon.start();
        waitFor("the sets to go", [&] { return agent::test::filesBelow(store()) == 1; });
        waitFor("the foreign one to go", [&] { return !fs::exists(foreign); });
        CPPUNIT_ASSERT(!fs::exists(object(agent::test::sha256Of("one\n"))));
    }

private:
    /// The JSON of one stage; `artifacts` may have other keys behind it.
    static std::string stage(const std::string& command, const std::string& artifacts)
    {
        return R"([{"type":"BUILD","plugin":"shell","with":{"command":")" + command + "\"}" +
               (artifacts.empty() ? "" : ",\"artifacts\":" + artifacts) + "}]";
    }

    [[nodiscard]] fs::path store() const { return _daemon.state() / "artifacts"; }
    [[nodiscard]] fs::path object(const std::string& digest) const
    {
        return agent::test::objectOf(store(), digest);
    }
    [[nodiscard]] fs::path folderOf(const std::string& run) const
    {
        return _daemon.state() / "runs" / run.substr(0, 2) / run;
    }

    /// As the record has it; stops the daemon for that.
    Stage stageOf(const std::string& run)
    {
        if (_daemon.alive())
            CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        Database record(_daemon.state() / "record.db");
        return agent::RunStore(record.writer()).stages(run).at(0);
    }

    /// Its manifest is the one of its row, and has all of its contents, in the store and in the set.
    void assertWhole(const Stage& kept) const
    {
        const auto manifest =
            folderOf(kept.runId) / "0-BUILD" / std::to_string(kept.attempt) / "artifacts.jsonl";
        CPPUNIT_ASSERT_EQUAL(agent::test::sha256Of(agent::test::bytesOf(manifest)),
                             kept.artifactManifest);
        const auto contents = agent::test::contentsIn(store());
        const auto files = agent::test::manifestIn(manifest);
        CPPUNIT_ASSERT_EQUAL(kept.artifactFiles.value_or(-1),
                             static_cast<std::int64_t>(files.size()));
        for (const auto& [path, file] : files)
        {
            CPPUNIT_ASSERT_MESSAGE(path, contents.contains(file.digest));
            CPPUNIT_ASSERT(fs::exists(store() / "sets" / kept.runId /
                                      (kept.id + "." + std::to_string(kept.attempt)) /
                                      file.digest));
        }
    }

    /// The daemon's programs, with a collector that tells its pid in `collecting` and waits for `go`.
    void slowCollector()
    {
        const agent::test::OwnPrograms programs(_daemon.folder());
        programs.replace("stage-collector",
                         "echo $$ >" + (_daemon.folder() / "collecting").string() +
                             "\nuntil test -e " + (_daemon.folder() / "go").string() +
                             "; do sleep 0.02; done\nexec " +
                             programs.real("stage-collector").string() + " \"$@\"");
        _daemon.setPrograms(programs.folder());
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ArtifactKeepingTest);
