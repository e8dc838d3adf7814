// A new daemon, perhaps of another version, takes up what the last one left: deadlines go on as they
// were, and what can't be understood is said, not guessed.
#include "tests/support/OtherBoot.h"
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

using agent::test::attemptOf;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::processesOf;
using agent::test::rewrite;
using agent::test::shell;
using agent::test::waitFor;

class AdoptionTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(AdoptionTest);
    CPPUNIT_TEST(testADeadlineGoesOnAsItWas);
    CPPUNIT_TEST(testADeadlineThatPassesWithNoDaemonIsKept);
    CPPUNIT_TEST(testAnExternalStagesDeadlineGoesOn);
    CPPUNIT_TEST(testAnotherBuildOfTheProgramsTakesUpTheStage);
    CPPUNIT_TEST(testAShimOfANewerVersionIsAdopted);
    CPPUNIT_TEST(testAnOutcomeWithUnknownKeysIsRead);
    CPPUNIT_TEST(testAnOutcomeOfANewerVersionIsNotGuessedAt);
    CPPUNIT_TEST_SUITE_END();

public:
    void testADeadlineGoesOnAsItWas()
    {
        _daemon.start();
        const auto id = submitRunning(shell("sleep 600", R"("timeout":"8s")"));
        _daemon.kill();
        restAWhile();
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.detail(id, "status"));
        assertTimedOutAsPlanned(id, 8000);
        CPPUNIT_ASSERT(processesOf(id).empty());
    }

    void testADeadlineThatPassesWithNoDaemonIsKept()
    {
        _daemon.start();
        const auto id = submitRunning(shell("sleep 600", R"("timeout":"3s")"));
        _daemon.kill();
        awaitOutcome();
        restAWhile();
        _daemon.start();
        assertTimedOutAsPlanned(id, 3000);
    }

    void testAnExternalStagesDeadlineGoesOn()
    {
        _daemon.start();
        _run = _daemon.submit(R"([{"type":"BUILD","plugin":"external","timeout":"8s"}])");
        const auto id = _daemon.stagesOf(_run)[0];
        waitFor("its turn", [&] { return _daemon.statusOf(_run) == "IN_PROGRESS"; });
        CPPUNIT_ASSERT_EQUAL(
            200, _daemon.patch("/api/stages/" + id, R"({"status":"IN_PROGRESS"})").status);
        _daemon.kill();
        restAWhile();
        _daemon.start();
        assertTimedOutAsPlanned(id, 8000);
    }

    /// As an upgrade does it: the programs' files are replaced while a shim runs from the old ones.
    void testAnotherBuildOfTheProgramsTakesUpTheStage()
    {
        namespace fs = std::filesystem;
        const fs::path programs = _daemon.folder() / "programs";
        const auto install = [&]
        {
            fs::remove_all(programs);
            fs::create_directories(programs);
            for (const char* name : {"stage-agent", "stage-shim", "stage-plugin-host", "plugins"})
                fs::copy(fs::path(STAGE_AGENT_BIN_DIR) / name, programs / name,
                         fs::copy_options::recursive);
        };
        install();
        _daemon.setPrograms(programs);
        _daemon.start();
        const auto id = submitRunning(shell("echo before; until test -e go; do sleep 0.05; done; "
                                            "echo after; exit 5"));
        install();
        // Between the two halves of an upgrade the old daemon starts the new shim.
        const auto between = _daemon.submit(listOf({shell("exit 6")}));
        _daemon.waitForRun(between, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("6"),
                             _daemon.detail(_daemon.stagesOf(between)[0], "exitCode"));
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.detail(id, "status"));
        letGo();
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("5"), _daemon.detail(id, "exitCode"));
        CPPUNIT_ASSERT_EQUAL(std::string("before\nafter\n"), _daemon.log(id));
    }

    /// A daemon that was taken back finds a stage that a newer one started; its shim answers in a
    /// version that this one does not know. It is watched and can be stopped all the same.
    void testAShimOfANewerVersionIsAdopted()
    {
        _daemon.start();
        const auto id = submitRunning(shell("until test -e go; do sleep 0.05; done; exit 0"));
        _daemon.kill();
        agent::test::forgetSeals(_daemon.state());
        for (const char* file : {"order.json", "shim.lock"})
        {
            makeNewer(file);
            rewrite(attempt() / file, "{", R"({"later":{"a":[1]},)");
        }
        rewrite(attempt() / "order.json", R"("argv":[)", R"("arguments":[)");
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.detail(id, "status"));
        CPPUNIT_ASSERT(!processesOf(id).empty());
        letGo();
        _daemon.waitForRun(_run, "SUCCESS");

        const auto other = submitRunning(shell("sleep 600"));
        _daemon.kill();
        agent::test::forgetSeals(_daemon.state());
        for (const char* file : {"order.json", "shim.lock"})
            makeNewer(file);
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + _run + "/stop").status);
        CPPUNIT_ASSERT_EQUAL(std::string("STOPPED"), _daemon.detail(other, "cause"));
        CPPUNIT_ASSERT(processesOf(other).empty());
    }

    void testAnOutcomeWithUnknownKeysIsRead()
    {
        const auto id = endWhileDown("exit 9");
        leaveOutChecksum();
        rewrite(attempt() / "outcome.json", "{", R"({"later":{"deep":[{"cause":"OOM"}]},)");
        rewrite(attempt() / "outcome.json", R"("usage":{)", R"("usage":{"gpuMs":7,)");
        _daemon.start();
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("EXIT"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("9"), _daemon.detail(id, "exitCode"));
    }

    void testAnOutcomeOfANewerVersionIsNotGuessedAt()
    {
        const auto id = endWhileDown("exit 0");
        leaveOutChecksum();
        rewrite(attempt() / "outcome.json", R"("version":1)", R"("version":2)");
        _daemon.start();
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("SHIM_LOST"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("null"), _daemon.detail(id, "exitCode"));
        const auto message = _daemon.detail(id, "message");
        CPPUNIT_ASSERT_MESSAGE(
            message,
            message.starts_with("outcome.json is of version 2; this program knows up to 1"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), _daemon.detail(id, "attempt"));
    }

private:
    /// The outcome as a shim before checksums writes it, so that it can be rewritten.
    void leaveOutChecksum() const
    {
        agent::test::forgetSeals(_daemon.state());
        rewrite(attempt() / "outcome.json", R"("crc32c":)", R"("unknown":)");
    }

    /// Gives the file a version that no program of today knows.
    void makeNewer(const std::string& file) const
    {
        const std::string key = R"("version":)";
        const std::string text = contentOf(attempt() / file);
        const auto at = text.find(key) + key.size();
        rewrite(attempt() / file, text.substr(0, text.find_first_not_of("0123456789", at)),
                text.substr(0, at) + "9");
    }

    static constexpr long downMs = 2500;

    /// Lets time pass with no daemon: a deadline that began anew at the start would be late by it.
    static void restAWhile()
    {
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(downMs);
        waitFor("time to pass", [&] { return std::chrono::steady_clock::now() >= end; });
    }

    void assertTimedOutAsPlanned(const std::string& id, long timeoutMs) const
    {
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("TIMEOUT"), _daemon.detail(id, "cause"));
        const auto took = std::stol(_daemon.detail(id, "durationMs"));
        CPPUNIT_ASSERT_MESSAGE(std::to_string(took),
                               took >= timeoutMs && took < timeoutMs + downMs);
    }

    std::string submitRunning(const std::string& stage)
    {
        _run = _daemon.submit(listOf({stage}));
        auto id = _daemon.stagesOf(_run)[0];
        waitFor("the command to run", [&] { return processesOf(id).size() >= 1; });
        return id;
    }

    std::string endWhileDown(const std::string& end)
    {
        _daemon.start();
        auto id = submitRunning(shell("until test -e go; do sleep 0.05; done; " + end));
        _daemon.kill();
        letGo();
        awaitOutcome();
        return id;
    }

    [[nodiscard]] std::filesystem::path attempt() const { return attemptOf(_daemon, _run); }

    void letGo() const
    {
        std::ofstream(attempt().parent_path().parent_path() / "workspace" / "go") << "";
    }

    void awaitOutcome() const
    {
        waitFor("the outcome", [&] { return !contentOf(attempt() / "outcome.json").empty(); });
    }

    Daemon _daemon;
    std::string _run;
};

CPPUNIT_TEST_SUITE_REGISTRATION(AdoptionTest);
