// What a stage keeps from one run to the next: who gets it, when, and what a death in between leaves.
#include "tests/support/CanSandbox.h"
#include "tests/support/GitOrigin.h"
#include "tests/support/SmallDisk.h"
#include "tests/support/Stagectl.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fstream>

using agent::test::Answer;
using agent::test::Daemon;
using agent::test::GitOrigin;
using agent::test::stagectlEnded;
using agent::test::waitFor;

namespace fs = std::filesystem;

namespace
{

bool has(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

} // namespace

class CachesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(CachesTest);
    CPPUNIT_TEST(testTheNextRunHasWhatTheLastOneSaved);
    CPPUNIT_TEST(testSoItIsInASandbox);
    CPPUNIT_TEST(testAnotherKeyBeginsWithWhatIsThere);
    CPPUNIT_TEST(testARunThatFailedSavesNothing);
    CPPUNIT_TEST(testBranchesReadTheServicesBranchAndWriteTheirOwn);
    CPPUNIT_TEST(testWhatWasNotUsedForLongestGoes);
    CPPUNIT_TEST(testStagectlListsAndRemoves);
    CPPUNIT_TEST(testTheHelperIsNotSeenByTheCommand);
    CPPUNIT_TEST(testTheWorkspaceIsHeldUntilItIsSaved);
    CPPUNIT_TEST(testADeletedRunIsNotSaved);
    CPPUNIT_TEST(testAMissingProgramIsNotExecuted);
    CPPUNIT_TEST(testAFullDiskSavesNothingAndLeavesNothing);
    CPPUNIT_TEST(testMoreThanAllMayHaveIsNotKept);
    CPPUNIT_TEST(testKeysThatCannotBeAreRefused);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon = std::make_unique<Daemon>(); }

    void testTheNextRunHasWhatTheLastOneSaved()
    {
        service("payment");
        _daemon->start();
        savedThenRestored();
        const std::string metrics = _daemon->get("/metrics").body;
        CPPUNIT_ASSERT_MESSAGE(metrics,
                               has(metrics, "stage_agent_cache_hits_total{match=\"exact\"} 1\n"));
        CPPUNIT_ASSERT_MESSAGE(metrics, has(metrics, "stage_agent_cache_misses_total 1\n"));
        CPPUNIT_ASSERT_MESSAGE(metrics, !has(metrics, "stage_agent_cache_bytes 0\n"));
    }

    void testSoItIsInASandbox()
    {
        if (!agent::test::canSandbox())
            return;
        service("payment", "isolation: sandbox\n");
        _daemon->start();
        savedThenRestored();
    }

    void testAnotherKeyBeginsWithWhatIsThere()
    {
        service("payment");
        _daemon->start();
        run("payment", R"("env":{"LOCK":"1"})");
        waitForCaches(1);
        const std::string log = run("payment", R"("env":{"LOCK":"2"})");
        CPPUNIT_ASSERT_MESSAGE(log, has(log, "wanted: deps-") && has(log, "found made by 1"));
        waitForCaches(2);
        const std::string metrics = _daemon->get("/metrics").body;
        CPPUNIT_ASSERT_MESSAGE(metrics,
                               has(metrics, "stage_agent_cache_hits_total{match=\"prefix\"} 1\n"));
    }

    void testARunThatFailedSavesNothing()
    {
        service("payment", "", "  - {type: OTHER, plugin: shell, with: {command: exit 1}}\n");
        _daemon->start();
        const std::string id = _daemon->submitService("payment");
        _daemon->waitForRun(id, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(0, _daemon->stop());
        CPPUNIT_ASSERT(archives().empty());
        CPPUNIT_ASSERT(fs::is_empty(folder() / "pending"));
    }

    void testBranchesReadTheServicesBranchAndWriteTheirOwn()
    {
        const GitOrigin origin(_daemon->folder() / "origin");
        const std::string onMain = origin.commit("lock", "a");
        origin.git("checkout -q -b feature");
        const std::string onFeature = origin.commit("other", "x");
        origin.git("checkout -q main");
        _daemon->writeService("payment", "name: payment\nrepository: " + origin.path().string() +
                                             "\nbranch: main\nforks: allow\nstages:\n"
                                             "  - {type: PREPARE, plugin: git}\n" +
                                             cachedStage());
        _daemon->start();
        // A commit that is not on the branch that the run names: it reads, and leaves nothing.
        run("payment", R"("branch":"main","commit":")" + onFeature + "\"");
        std::string log = run("payment", R"("branch":"feature","commit":")" + onFeature + "\"");
        CPPUNIT_ASSERT_MESSAGE(log, has(log, "there is none for"));
        waitForCaches(1);
        CPPUNIT_ASSERT_EQUAL(std::string("feature"), scopes());
        // What a branch has saved is not seen by the service's own.
        log = run("payment", R"("branch":"main","commit":")" + onMain + "\"");
        CPPUNIT_ASSERT_MESSAGE(log, has(log, "there is none for"));
        waitForCaches(2);
        CPPUNIT_ASSERT_EQUAL(std::string("feature,main"), scopes());
        // The other way round it is.
        origin.git("checkout -q -b second");
        log = run("payment", R"("branch":"second")");
        CPPUNIT_ASSERT_MESSAGE(log, has(log, "of main restored"));
        log = run("payment", R"("branch":"x","triggerType":"PR_OPEN","pullNumber":7,"commit":")" +
                                 onFeature + "\"");
        CPPUNIT_ASSERT_MESSAGE(log, has(log, "of main restored"));
        CPPUNIT_ASSERT_EQUAL(0, _daemon->stop());
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, archives().size());
    }

    void testWhatWasNotUsedForLongestGoes()
    {
        _daemon->set("caches.max_bytes", "2500k");
        service("payment", "", "", "head -c 1000000 /dev/urandom >deps/big");
        _daemon->start();
        run("payment", R"("env":{"LOCK":"1"})");
        waitForCaches(1);
        const std::string first = keys();
        run("payment", R"("env":{"LOCK":"2"})");
        waitForCaches(2);
        const std::string second = keys().substr(0, keys().find(','));
        run("payment", R"("env":{"LOCK":"1"})"); // used again
        waitFor("the use", [&] { return keys().starts_with(first); });
        run("payment", R"("env":{"LOCK":"3"})"); // begins with the second, the newest
        waitFor("the third, instead of the first",
                [&] { return archives().size() == 2 && !has(keys(), first); });
        CPPUNIT_ASSERT(has(keys(), second));
        waitFor("a line", [&] { return has(_daemon->output(), "more than caches.max_bytes"); });
    }

    void testStagectlListsAndRemoves()
    {
        service("payment");
        service("other");
        _daemon->start();
        run("payment");
        run("other");
        waitForCaches(2);
        std::string out = stagectlEnded(*_daemon, 0, {"caches"}).out;
        CPPUNIT_ASSERT_MESSAGE(out, out.starts_with("CACHE") && has(out, "payment") &&
                                        has(out, "other") && has(out, "deps-"));
        out = stagectlEnded(*_daemon, 0, {"caches", "--service", "payment", "--json"}).out;
        CPPUNIT_ASSERT_MESSAGE(out, !has(out, "\"other\""));
        const auto caches = _daemon->get("/api/caches?service=payment").json();
        const std::string id = caches["caches"][0]["id"].GetString();
        out = stagectlEnded(*_daemon, 0, {"caches", "--remove", id}).out;
        CPPUNIT_ASSERT_MESSAGE(out, out.starts_with("removed: deps-"));
        CPPUNIT_ASSERT_EQUAL(404, _daemon->request("DELETE", "/api/caches/" + id).status);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, archives().size());
        stagectlEnded(*_daemon, 0, {"caches", "--service", "other", "--remove-all"});
        CPPUNIT_ASSERT(archives().empty());
    }

    void testTheHelperIsNotSeenByTheCommand()
    {
        _daemon->writeService("payment",
                              "name: payment\nstages:\n"
                              "  - type: BUILD\n    plugin: shell\n    with:\n"
                              "      command: 'env; exec >/dev/null; sleep 0.1; exit 7'\n"
                              "    cache: [{key: k, paths: [deps]}]\n");
        _daemon->start();
        const std::string id = _daemon->submitService("payment");
        _daemon->waitForRun(id, "FAILURE");
        const std::string stage = _daemon->stagesOf(id)[0];
        const std::string log = _daemon->log(stage);
        CPPUNIT_ASSERT_MESSAGE(log, has(log, "there is none for k") && !has(log, "STAGE_AGENT_C"));
        CPPUNIT_ASSERT_EQUAL(std::string("7"), _daemon->detail(stage, "exitCode"));
        CPPUNIT_ASSERT_EQUAL(std::string("EXIT"), _daemon->detail(stage, "cause"));
    }

    void testTheWorkspaceIsHeldUntilItIsSaved()
    {
        _daemon->set("workspace.keep", "1ms");
        service("payment", "", "", many());
        _daemon->start();
        const std::string id = _daemon->submitService("payment");
        _daemon->waitForRun(id, "SUCCESS");
        waitForCaches(1);
        waitFor("the workspace to go", [&] { return !fs::exists(workspaceOf(id)); });
    }

    void testADeletedRunIsNotSaved()
    {
        service("payment", "", "", many());
        _daemon->start();
        for (int i = 0; i < 5; ++i)
        {
            const std::string id = _daemon->submitService("payment");
            _daemon->waitForRun(id, "SUCCESS");
            CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + id).status);
            waitFor("the end of the save", [&] { return fs::is_empty(folder() / "pending"); });
            // Either it was whole before the deletion, or it is not there.
            checkWhole();
            fs::remove_all(folder() / "new");
            fs::create_directory(folder() / "new");
            for (const auto& file : archives())
                fs::remove(file);
        }
    }

    /// Symptom: EXIT with 127, as if a command had said so. Cause: stage-cache was executed well, and what it was to
    /// become was not there. Bound: SPAWN_ERROR, as without a cache, in a sandbox too.
    void testAMissingProgramIsNotExecuted()
    {
        fs::create_directories(_daemon->folder() / "plugins/nowhere");
        std::ofstream(_daemon->folder() / "plugins/nowhere/plugin.yaml")
            << "name: nowhere\nversion: 1.0.0\ndescription: A test's.\nrun: [no-such-program, x]\n";
        std::vector<std::string> kinds{"none"};
        if (agent::test::canSandbox())
            kinds.emplace_back("sandbox");
        for (const std::string& isolation : kinds)
            _daemon->writeService(isolation, "name: " + isolation + "\nisolation: " + isolation +
                                                 "\nstages:\n  - type: BUILD\n    plugin: "
                                                 "nowhere\n    with: {}\n"
                                                 "    cache: [{key: k, paths: [deps]}]\n");
        _daemon->start();
        for (const std::string& isolation : kinds)
        {
            const std::string id = _daemon->submitService(isolation);
            _daemon->waitForRun(id, "FAILURE");
            const std::string stage = _daemon->stagesOf(id)[0];
            CPPUNIT_ASSERT_EQUAL_MESSAGE(isolation, std::string("SPAWN_ERROR"),
                                         _daemon->detail(stage, "cause"));
            CPPUNIT_ASSERT_EQUAL(
                std::string("cannot execute 'no-such-program': No such file or directory"),
                _daemon->detail(stage, "message"));
            CPPUNIT_ASSERT_EQUAL(std::string("cache: there is none for k\n"), _daemon->log(stage));
        }
    }

    void testAFullDiskSavesNothingAndLeavesNothing()
    {
        const agent::SmallDisk disk("24M");
        if (!disk.mounted())
            return;
        _daemon->set("state.dir", (disk.path() / "state").string());
        _daemon->set("disk.min_free", "0");
        service("payment", "", "", "head -c 14000000 /dev/urandom >deps/big");
        _daemon->start();
        run("payment");
        waitFor("a line", [&] { return has(_daemon->output(), "is not saved: "); });
        CPPUNIT_ASSERT(archives().empty());
        waitFor("the end of the save", [&] { return fs::is_empty(folder() / "pending"); });
        CPPUNIT_ASSERT(fs::is_empty(folder() / "new"));
    }

    void testMoreThanAllMayHaveIsNotKept()
    {
        service("payment", "", "", "head -c 3000000 /dev/urandom >deps/big");
        _daemon->set("caches.max_bytes", "1MiB");
        _daemon->start();
        run("payment");
        waitFor("a line", [&] { return has(_daemon->output(), "is not kept: it has"); });
        CPPUNIT_ASSERT(archives().empty());
    }

    void testKeysThatCannotBeAreRefused()
    {
        const std::string stage =
            R"([{"type":"BUILD","plugin":"shell","with":{"command":"true"},"cache":[{"key":"k","paths":["a"]}]}])";
        _daemon->start();
        const Answer answer =
            _daemon->post("/api/runs", R"({"pipeline":)" + _daemon->pipeline(stage) + "}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 400, answer.status);
        CPPUNIT_ASSERT_MESSAGE(answer.body, has(answer.body, "belong to a service"));
    }

private:
    static std::string many()
    {
        return "i=0; while [ $i -lt 1500 ]; do echo $i$i$i >deps/$i; i=$((i+1)); done; "
               "head -c 8000000 /dev/urandom >deps/big; sha256sum deps/* >sums; mv sums deps/";
    }

    static std::string cachedStage(const std::string& more = "true")
    {
        return "  - type: BUILD\n    plugin: shell\n    with:\n      command: |\n"
               "        if [ -e deps/by ]; then echo found $(cat deps/by); else mkdir -p deps; fi\n"
               "        [ ! -e deps/sums ] || sha256sum --quiet -c deps/sums\n"
               "        if [ \"$(cat lock)\" != \"$(cat deps/lock 2>/dev/null)\" ]; then\n"
               "        echo made by $(cat lock) >deps/by; cp lock deps/; rm -f deps/sums\n"
               "        " +
               more +
               "\n        fi\n"
               "        mkdir -p ~/.tool; echo state >>~/.tool/state; cat ~/.tool/state\n"
               "    cache:\n"
               "      - key: deps-${sha256:lock}\n        restore: [deps-]\n"
               "        paths: [deps, ~/.tool]\n";
    }

    void service(const std::string& name, const std::string& keys = "",
                 const std::string& stages = "", const std::string& more = "true")
    {
        _daemon->writeService(name, "name: " + name + "\n" + keys + "env: {LOCK: '0'}\nstages:\n" +
                                        "  - {type: PREPARE, plugin: shell, with: {command: "
                                        "'echo $LOCK >lock'}}\n" +
                                        cachedStage(more) + stages);
    }

    /// Runs it to its end. Returns the log of its stage with the cache.
    std::string run(const std::string& name, const std::string& more = "")
    {
        const Answer made = _daemon->post("/api/runs", R"({"service":")" + name + "\"" +
                                                           (more.empty() ? "" : "," + more) + "}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        const std::string id = made.json()["id"].GetString();
        _daemon->waitForRun(id, "SUCCESS");
        return _daemon->log(_daemon->stagesOf(id)[1]);
    }

    void savedThenRestored()
    {
        std::string log = run("payment");
        CPPUNIT_ASSERT_MESSAGE(log,
                               has(log, "cache: there is none for deps-") && !has(log, "found"));
        waitForCaches(1);
        log = run("payment");
        CPPUNIT_ASSERT_MESSAGE(log, has(log, "restored: ") && has(log, "found made by 0\n") &&
                                        has(log, "state\nstate\n"));
        waitFor("the hit",
                [&]
                {
                    const auto caches = _daemon->get("/api/caches").json();
                    return caches["caches"].Size() == 1 &&
                           caches["caches"][0]["hits"].GetInt() == 1;
                });
        CPPUNIT_ASSERT(fs::is_empty(folder() / "new"));
        waitFor("the end of the save", [&] { return fs::is_empty(folder() / "pending"); });
    }

    [[nodiscard]] fs::path folder() const { return _daemon->state() / "caches"; }
    [[nodiscard]] fs::path workspaceOf(const std::string& run) const
    {
        return _daemon->state() / "runs" / run.substr(0, 2) / run / "workspace";
    }

    [[nodiscard]] std::vector<fs::path> archives() const
    {
        std::vector<fs::path> all;
        for (const auto& entry : fs::recursive_directory_iterator(folder()))
            if (entry.path().extension() == ".cache")
                all.push_back(entry.path());
        return all;
    }

    void waitForCaches(std::size_t count) const
    {
        waitFor(std::to_string(count) + " caches",
                [&] { return archives().size() == count && fs::is_empty(folder() / "pending"); });
    }

    [[nodiscard]] std::string joined(const char* member) const
    {
        const auto caches = _daemon->get("/api/caches").json();
        std::string all;
        for (const auto& cache : caches["caches"].GetArray())
            all += (all.empty() ? "" : ",") + std::string(cache[member].GetString());
        return all;
    }
    [[nodiscard]] std::string keys() const { return joined("key"); }
    [[nodiscard]] std::string scopes() const
    {
        std::string all = joined("scope");
        return all == "main,feature" ? "feature,main" : all;
    }

    /// Each archive that has its name can be read to its end.
    void checkWhole() const
    {
        for (const auto& file : archives())
        {
            const std::string command = "tail -c +8193 '" + file.string() +
                                        "' | zstd -dc | tar -tf - >/dev/null 2>&1 && [ "
                                        "$(head -c 8192 '" +
                                        file.string() +
                                        "' | tr ',' '\\n' | sed -n 's/.*\"archive_bytes\"://p') "
                                        "= $(stat -c %s '" +
                                        file.string() + "') ]";
            const std::string whole = "bash -o pipefail -c \"" + escaped(command) + "\"";
            CPPUNIT_ASSERT_EQUAL_MESSAGE(file.string(), 0, std::system(whole.c_str())); // NOLINT
        }
    }

    static std::string escaped(const std::string& text)
    {
        std::string out;
        for (const char c : text)
            out += (c == '"' || c == '$' || c == '\\' ? "\\" : "") + std::string(1, c);
        return out;
    }

    std::unique_ptr<Daemon> _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(CachesTest);
