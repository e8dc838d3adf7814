// State that 0.1.0 left (commit 201749c), taken up by this version: its record has neither boots nor syncs, its
// orders don't say that the record names the boot, its claims and outcomes are synced and have no checksum.
#include "tests/support/OtherBoot.h"
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

using agent::test::attemptOf;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::processesOf;
using agent::test::rewrite;
using agent::test::shell;
using agent::test::shimOf;
using agent::test::waitFor;

namespace fs = std::filesystem;

class EarlierVersionTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(EarlierVersionTest);
    CPPUNIT_TEST(testARunningStageIsAdopted);
    CPPUNIT_TEST(testARunningStageCanBeStopped);
    CPPUNIT_TEST(testAStageThatEndedMeanwhileIsRecorded);
    CPPUNIT_TEST(testAnOutcomeCountsAlsoAfterAPowerCut);
    CPPUNIT_TEST(testARunningStageIsLostWithTheHost);
    CPPUNIT_TEST(testWhatEndedBeforeIsNotLost);
    CPPUNIT_TEST_SUITE_END();

public:
    void tearDown() override
    {
        if (_shim > 0)
        {
            ::kill(_shim, SIGKILL);
            ::waitpid(_shim, nullptr, 0);
        }
    }

    void testARunningStageIsAdopted()
    {
        leaveRunning("echo before; until test -e go; do sleep 0.05; done; echo after; exit 5");
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.detail(_id, "status"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), _daemon.detail(_id, "attempt"));
        letGo();
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("EXIT"), _daemon.detail(_id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("5"), _daemon.detail(_id, "exitCode"));
        CPPUNIT_ASSERT_EQUAL(std::string("before\nafter\n"), _daemon.log(_id));
    }

    void testARunningStageCanBeStopped()
    {
        leaveRunning("sleep 600");
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + _run + "/stop").status);
        CPPUNIT_ASSERT_EQUAL(std::string("STOPPED"), _daemon.detail(_id, "cause"));
        CPPUNIT_ASSERT(processesOf(_id).empty());
    }

    void testAStageThatEndedMeanwhileIsRecorded()
    {
        leaveEnded();
        _daemon.start();
        _daemon.waitForRun(_run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("printed\n"), _daemon.log(_id));
    }

    /// Its shim had synced it: the files decide, not a row without a boot.
    void testAnOutcomeCountsAlsoAfterAPowerCut()
    {
        leaveEnded();
        ofAnotherBoot();
        _daemon.start();
        _daemon.waitForRun(_run, "SUCCESS");
        CPPUNIT_ASSERT(_daemon.get("/api/stages/" + _id).body.find("LOG_CUT_BY_POWER_LOSS") ==
                       std::string::npos);
    }

    void testARunningStageIsLostWithTheHost()
    {
        leaveRunning("echo x >> executions; sleep 600");
        agent::test::cutPower(attempt(), _id);
        ofAnotherBoot();
        _daemon.start();
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("HOST_REBOOT"), _daemon.detail(_id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("x\nx\n"), contentOf(workspace() / "executions"));
    }

    /// A workspace of then was synced as nothing is today, and is not refused for it.
    void testWhatEndedBeforeIsNotLost()
    {
        _daemon.start();
        _run = _daemon.submit(listOf({shell("test -e repaired")}));
        _id = _daemon.stagesOf(_run)[0];
        _daemon.waitForRun(_run, "FAILURE");
        _daemon.kill();
        takeRecordBack();
        _daemon.start();
        std::ofstream(workspace() / "repaired") << "\n";
        CPPUNIT_ASSERT_EQUAL(200,
                             _daemon.patch("/api/stages/" + _id, R"({"status":"IDLE"})").status);
        _daemon.waitForRun(_run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("2"), _daemon.detail(_id, "attempt"));
    }

private:
    [[nodiscard]] fs::path attempt() const { return attemptOf(_daemon, _run); }
    [[nodiscard]] fs::path workspace() const
    {
        return _daemon.state() / "runs" / _run.substr(0, 2) / _run / "workspace";
    }
    void letGo() const { std::ofstream(workspace() / "go") << "\n"; }

    /// Leaves the state as 0.1.0 does that was killed while `command` runs. The command is started twice: first by this
    /// version, for record and order.
    void leaveRunning(const std::string& command)
    {
        _daemon.start();
        _run = _daemon.submit(listOf({shell(command)}));
        _id = _daemon.stagesOf(_run)[0];
        waitFor("the command to run", [&] { return !processesOf(_id).empty(); });
        _daemon.kill();
        agent::test::cutPower(attempt(), _id);
        takeRecordBack();
        for (const char* later : {R"(,"bootRecorded":true)", R"(,"knowsLeftBehind":true)"})
            rewrite(attempt() / "order.json", later, "");
        for (const char* file : {"shim.lock", "outcome.json.tmp", "log", "log.idx"})
            fs::remove(attempt() / file);
        startShim();
        waitFor("the command to run", [&] { return !processesOf(_id).empty(); });
        const std::string claim = contentOf(attempt() / "shim.lock");
        const auto began = claim.find(R"(,"beganTicks")");
        CPPUNIT_ASSERT_MESSAGE(claim, began != std::string::npos);
        rewrite(attempt() / "shim.lock", claim.substr(began), "}");
    }

    void leaveEnded()
    {
        leaveRunning("echo printed; until test -e go; do sleep 0.05; done");
        letGo();
        waitFor("its end", [&] { return ::waitpid(_shim, nullptr, WNOHANG) == _shim; });
        _shim = 0;
        const std::string outcome = contentOf(attempt() / "outcome.json");
        const auto checksum = outcome.find(R"(,"crc32c")");
        CPPUNIT_ASSERT_MESSAGE(outcome, checksum != std::string::npos);
        rewrite(attempt() / "outcome.json", outcome.substr(checksum), "}");
    }

    void ofAnotherBoot() const
    {
        std::string boot = contentOf("/proc/sys/kernel/random/boot_id");
        boot.pop_back();
        for (const char* file : {"order.json", "shim.lock"})
            rewrite(attempt() / file, boot, "11111111-2222-4333-8444-555555555555");
    }

    /// The record's schema as it was.
    void takeRecordBack() const
    {
        agent::test::changeRecord(_daemon.state(), R"(
            DROP INDEX runs_by_status; DROP INDEX runs_by_service_status;
            DROP INDEX idempotency_by_age; DROP INDEX stages_to_sync; DROP INDEX attempts_to_sync;
            DROP TRIGGER ended_run_inserted; DROP TRIGGER ended_run_updated;
            DROP TRIGGER ended_run_deleted; DROP TABLE counts; DROP TABLE tokens;
            DROP INDEX runs_by_branch; DROP INDEX runs_by_commit; DROP INDEX runs_by_creation;
            DROP INDEX runs_waiting; DROP INDEX runs_begun;
            DROP INDEX runs_open; DROP INDEX runs_open_of_branch;
            DROP INDEX stages_failed; DROP INDEX stages_with_results;
            DROP INDEX runs_removable; ALTER TABLE runs DROP COLUMN kept;
            CREATE INDEX runs_not_ended ON runs (seq) WHERE status NOT IN ('SUCCESS', 'FAILURE');
            ALTER TABLE runs DROP COLUMN stop_cause;
            ALTER TABLE stages DROP COLUMN skipped; ALTER TABLE stages DROP COLUMN expires_at;
            ALTER TABLE stages DROP COLUMN boot_id; ALTER TABLE stages DROP COLUMN synced;
            ALTER TABLE attempts DROP COLUMN boot_id; ALTER TABLE attempts DROP COLUMN synced;
            ALTER TABLE stages DROP COLUMN seal_key; ALTER TABLE stages DROP COLUMN shim_pid;
            ALTER TABLE stages DROP COLUMN shim_start; ALTER TABLE stages DROP COLUMN plugin_sha256;
            ALTER TABLE attempts DROP COLUMN plugin_sha256;
            ALTER TABLE stages DROP COLUMN isolation; ALTER TABLE stages DROP COLUMN network;
            ALTER TABLE attempts DROP COLUMN isolation; ALTER TABLE attempts DROP COLUMN network;
            DROP TABLE outbox; DROP TABLE report_numbers; DROP TABLE reserve; DROP TABLE deliveries;
            DROP TABLE run_labels; ALTER TABLE runs DROP COLUMN labels;
            ALTER TABLE runs DROP COLUMN began_boot_id; ALTER TABLE runs DROP COLUMN began_boot_ms;
            DROP TABLE artifact_sets; DROP TABLE kept_workspaces; DROP TABLE taken_sets;
            ALTER TABLE stages DROP COLUMN artifact_files;
            ALTER TABLE stages DROP COLUMN artifact_bytes;
            ALTER TABLE attempts DROP COLUMN artifact_files;
            ALTER TABLE attempts DROP COLUMN artifact_bytes;
            ALTER TABLE stages DROP COLUMN artifact_manifest;
            ALTER TABLE stages DROP COLUMN tests_total;
            ALTER TABLE attempts DROP COLUMN artifact_manifest;
            ALTER TABLE attempts DROP COLUMN tests_total;
            ALTER TABLE stages DROP COLUMN tests_failed;
            ALTER TABLE stages DROP COLUMN tests_skipped;
            ALTER TABLE attempts DROP COLUMN tests_failed;
            ALTER TABLE attempts DROP COLUMN tests_skipped;
            PRAGMA user_version = 2;)");
    }

    /// As the daemon of 0.1.0 does: the folder as its argument, 3 the lock, 4 closed.
    void startShim()
    {
        const std::string program = STAGE_AGENT_BIN_DIR "/stage-shim";
        const std::string folder = attempt().string();
        const std::string lock = folder + "/shim.lock";
        _shim = ::fork();
        CPPUNIT_ASSERT(_shim >= 0);
        if (_shim != 0)
            return;
        ::setsid();
        sigset_t all;
        ::sigfillset(&all);
        ::sigprocmask(SIG_SETMASK, &all, nullptr);
        const int fd = ::open(lock.c_str(), O_RDWR | O_CREAT, 0600);
        if (fd < 0 || ::flock(fd, LOCK_EX | LOCK_NB) != 0 || ::dup2(fd, 3) != 3)
            ::_exit(126);
        for (int other = 4; other < 64; ++other)
            ::close(other);
        const char* const environment[] = {"PATH=/usr/bin:/bin", nullptr};
        ::execle(program.c_str(), "stage-shim", folder.c_str(), static_cast<char*>(nullptr),
                 environment);
        ::_exit(127);
    }

    Daemon _daemon;
    std::string _run;
    std::string _id;
    int _shim = 0; ///< our child
};

CPPUNIT_TEST_SUITE_REGISTRATION(EarlierVersionTest);
