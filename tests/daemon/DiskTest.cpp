// What the agent does about its disk: it takes nothing more on while there is too little room, and goes on
// by itself.
#include "tests/support/Daemon.h"
#include "tests/support/SmallDisk.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fstream>
#include <memory>

using agent::SmallDisk;
using agent::test::Answer;
using agent::test::Daemon;
using agent::test::waitFor;

class DiskTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(DiskTest);
    CPPUNIT_TEST(testBelowMinFreeNothingStartsAndItGoesOnByItself);
    CPPUNIT_TEST(testTheNextStageWaitsToo);
    CPPUNIT_TEST(testAFullDiskLeavesThePlainLogReadable);
    CPPUNIT_TEST(testAFullDiskCanBeCleared);
    CPPUNIT_TEST(testItWorksWhileAStageKeepsTheDiskFull);
    CPPUNIT_TEST(testRunsWaitForInodes);
    CPPUNIT_TEST_SUITE_END();

public:
    void testBelowMinFreeNothingStartsAndItGoesOnByItself()
    {
        if (!start())
            return;
        _daemon->waitForRun(_daemon->submit(stages({"true"})), "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(200, _daemon->get("/readyz").status);
        for (int round = 0; round < 3; ++round)
        {
            const auto go = _daemon->folder() / ("go-" + std::to_string(round));
            const auto blocker = _daemon->submit(
                stages({"while test ! -e " + go.string() + "; do sleep 0.05; done"}));
            _daemon->waitForRun(blocker, "IN_PROGRESS");
            const auto run = _daemon->submit(stages({"true"}));
            _disk->fill(8 << 20);
            std::ofstream(go) << "x";
            _daemon->waitForRun(blocker, "SUCCESS");
            const Answer ready = _daemon->get("/readyz");
            CPPUNIT_ASSERT_EQUAL(503, ready.status);
            CPPUNIT_ASSERT_MESSAGE(ready.body, ready.body.find("disk: below disk.min_free") !=
                                                   std::string::npos);
            const Answer health = _daemon->get("/healthz");
            CPPUNIT_ASSERT_EQUAL(200, health.status);
            for (const char* line : {"store: ok\n", "disk: below disk.min_free", "\nexecutor: ok"})
                CPPUNIT_ASSERT_MESSAGE(health.body, health.body.find(line) != std::string::npos);
            // Nothing new is taken that could only wait.
            const Answer refused =
                _daemon->post("/api/runs", R"({"pipeline":{"stages":)" + stages({"true"}) + "}}");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(refused.body, 429, refused.status);
            CPPUNIT_ASSERT(refused.headers.contains("retry-after"));
            // A change that makes the engine look at its queue once more.
            CPPUNIT_ASSERT_EQUAL(200,
                                 _daemon->patch("/api/runs/" + run, R"({"priority":5})").status);
            CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon->statusOf(run));
            CPPUNIT_ASSERT_EQUAL(503, _daemon
                                          ->patch("/api/stages/" + _daemon->stagesOf(run)[0],
                                                  R"({"status":"IN_PROGRESS"})")
                                          .status);
            _disk->free();
            _daemon->waitForRun(run, "SUCCESS"); // nobody but the agent looks at the disk
            CPPUNIT_ASSERT_EQUAL(200, _daemon->get("/readyz").status);
        }
    }

    void testTheNextStageWaitsToo()
    {
        if (!start())
            return;
        const auto go = _daemon->folder() / "go";
        const auto run = _daemon->submit(
            stages({"while test ! -e " + go.string() + "; do sleep 0.05; done", "echo second"}));
        const auto ids = _daemon->stagesOf(run);
        _daemon->waitForStage(ids[0], "IN_PROGRESS");
        _disk->fill(8 << 20);
        std::ofstream(go) << "x";
        _daemon->waitForStage(ids[0], "SUCCESS"); // what runs goes on
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon->statusOf(run));
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon->detail(ids[1], "status"));
        waitFor("it to wait",
                [&] { return _daemon->get("/readyz").body.find("1 queued") != std::string::npos; });
        _disk->free();
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("second\n"), _daemon->log(ids[1]));
    }

    void testAFullDiskLeavesThePlainLogReadable()
    {
        if (!start())
            return;
        const auto other = _daemon->submit(stages({"true"}));
        _daemon->waitForRun(other, "SUCCESS");
        const auto run = _daemon->submit(stages({"head -c 3000000 /dev/urandom"}));
        _daemon->waitForRun(run, "SUCCESS");
        const auto id = _daemon->stagesOf(run)[0];
        const std::string log = _daemon->log(id);
        CPPUNIT_ASSERT_EQUAL(0, _daemon->stop());
        const auto attempt = _daemon->state() / "runs" / run.substr(0, 2) / run / "0-BUILD" / "1";
        const auto before = std::filesystem::last_write_time(attempt);
        _daemon->set("logs.compress_after", "1ms");
        _disk->fill(1 << 20); // enough for the record, too little for another log
        _daemon->start();
        waitFor("the first try",
                [&]
                {
                    return std::filesystem::last_write_time(attempt) != before &&
                           !std::filesystem::exists(attempt / "log.zst.new");
                });
        CPPUNIT_ASSERT(std::filesystem::exists(attempt / "log"));
        CPPUNIT_ASSERT(!std::filesystem::exists(attempt / "log.zst"));
        CPPUNIT_ASSERT(log == _daemon->log(id));
        _disk->free();
        // What is removed makes room: then the cleanup worker tries again at once.
        CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + other).status);
        waitFor("the log to be compressed",
                [&] { return !std::filesystem::exists(attempt / "log"); });
        CPPUNIT_ASSERT(log == _daemon->log(id));
    }

    /// Symptom: the end of the stage that filled the disk could not be recorded, deletions were 503, and the next
    /// start ended with 70. Cause: the record's files had no blocks of their own. Bound: none of it needs any.
    void testAFullDiskCanBeCleared()
    {
        for (const bool killed : {false, true})
        {
            if (!start("4M"))
                return;
            // A log: workspaces of ended runs go by themselves (DiskOrderTest).
            const auto old = _daemon->submit(stages({"head -c 8000000 /dev/zero"}));
            _daemon->waitForRun(old, "SUCCESS");
            const auto run =
                _daemon->submit(stages({"head -c 100000000 /dev/zero > big 2> /dev/null"}));
            _daemon->waitForRun(run, "FAILURE");
            const auto stage = _daemon->stagesOf(run)[0];
            CPPUNIT_ASSERT_EQUAL(std::string("DISK_FULL"), _daemon->detail(stage, "cause"));
            CPPUNIT_ASSERT_EQUAL(std::string("1"), _daemon->detail(stage, "exitCode"));
            CPPUNIT_ASSERT_EQUAL(
                std::string("exited with code 1, while the disk of its workspace was full"),
                _daemon->detail(stage, "message"));
            _disk->fill(); // the last of it, too
            killed ? _daemon->kill() : static_cast<void>(_daemon->stop());
            _disk->fill();
            CPPUNIT_ASSERT_EQUAL(std::uintmax_t{0}, available());
            _daemon->start(); // from here on workspaces are removed
            CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon->statusOf(run));
            CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + old).status);
            CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + run).status);
            waitFor("room", [&] { return _daemon->get("/readyz").status == 200; });
            _daemon->waitForRun(_daemon->submit(stages({"true"})), "SUCCESS");
        }
    }

    /// What is given up goes to the stage that still writes.
    void testItWorksWhileAStageKeepsTheDiskFull()
    {
        if (!start("4M", "3"))
            return;
        const auto old = _daemon->submit(stages({"head -c 3000000 /dev/zero > artifact"}));
        _daemon->waitForRun(old, "SUCCESS");
        std::vector<std::string> others;
        for (const char* end : {"exit 0", "exit 7"})
            others.push_back(
                _daemon->submit(stages({"until test -e " + (_daemon->folder() / "go").string() +
                                        "; do sleep 0.05; done; " + end})));
        const auto writer = _daemon->submit(
            stages({"while :; do cat /dev/zero >> big || sleep 0.01; done 2> /dev/null"}));
        for (const auto& run : {others[0], others[1], writer})
            _daemon->waitForRun(run, "IN_PROGRESS");
        const auto full = [this] { return available() == 0; };
        waitFor("the disk to be full", full);
        std::ofstream(_daemon->folder() / "go") << "x";
        _daemon->waitForStage(_daemon->stagesOf(others[0])[0], "SUCCESS");
        _daemon->waitForStage(_daemon->stagesOf(others[1])[0], "FAILURE");
        for (const bool killed : {true, false})
        {
            killed ? _daemon->kill() : static_cast<void>(_daemon->stop());
            waitFor("the disk to be full", full);
            _daemon->start();
            CPPUNIT_ASSERT_EQUAL_MESSAGE(_daemon->detail(_daemon->stagesOf(writer)[0], "message"),
                                         std::string("IN_PROGRESS"), _daemon->statusOf(writer));
            CPPUNIT_ASSERT_EQUAL(503, _daemon->get("/readyz").status);
        }
        CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + old).status);
        CPPUNIT_ASSERT_EQUAL(404, _daemon->get("/api/runs/" + old).status);
        waitFor("the disk to be full", full);
        const Answer stopped = _daemon->post("/api/runs/" + writer + "/stop");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(stopped.body, 200, stopped.status);
        CPPUNIT_ASSERT_EQUAL(std::string("STOPPED"),
                             _daemon->detail(_daemon->stagesOf(writer)[0], "cause"));
        CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + writer).status);
        waitFor("room", [&] { return _daemon->get("/readyz").status == 200; });
        CPPUNIT_ASSERT_EQUAL_MESSAGE(_daemon->output(), std::string::npos,
                                     _daemon->output().find("nothing could be written"));
    }

    /// A file system of few inodes has a limit that fits: a twentieth of them.
    void testRunsWaitForInodes()
    {
        if (!start("4M", "1", "200M,nr_inodes=600"))
            return;
        const auto fill = _daemon->submit(
            stages({"i=0; while touch f$i 2>/dev/null; do i=$((i+1)); done; exit 1"}));
        _daemon->waitForRun(fill, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("DISK_FULL"),
                             _daemon->detail(_daemon->stagesOf(fill)[0], "cause"));
        const Answer ready = _daemon->get("/readyz");
        CPPUNIT_ASSERT_EQUAL(503, ready.status);
        CPPUNIT_ASSERT_MESSAGE(ready.body, ready.body.find("disk: below disk.min_free_inodes, ") !=
                                               std::string::npos);
        const Answer refused =
            _daemon->post("/api/runs", R"({"pipeline":{"stages":)" + stages({"true"}) + "}}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(refused.body, 429, refused.status);
        CPPUNIT_ASSERT_MESSAGE(refused.body,
                               refused.body.find("disk.min_free_inodes") != std::string::npos);
        _daemon->kill();
        _daemon->start();
        CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + fill).status);
        waitFor("inodes", [&] { return _daemon->get("/readyz").status == 200; });
        _daemon->waitForRun(_daemon->submit(stages({"true"})), "SUCCESS");
    }

private:
    [[nodiscard]] std::uintmax_t available() const
    {
        return std::filesystem::space(_disk->path()).available;
    }

    /// Shape: false where there can be no such disk.
    bool start(const std::string& minFree = "16M", const std::string& slots = "1",
               const std::string& size = "64M")
    {
        _daemon.reset();
        _disk = std::make_unique<SmallDisk>(size);
        if (!_disk->mounted())
            return false;
        _daemon = std::make_unique<Daemon>();
        _daemon->set("state.dir", (_disk->path() / "state").string());
        _daemon->set("disk.min_free", minFree);
        _daemon->set("executor.slots", slots);
        _daemon->start();
        return true;
    }

    static std::string stages(const std::vector<std::string>& commands)
    {
        std::string all;
        for (const auto& command : commands)
            all += (all.empty() ? "" : ",") +
                   (R"({"type":"BUILD","plugin":"shell","with":{"command":")" + command + "\"}}");
        return "[" + all + "]";
    }

    std::unique_ptr<SmallDisk> _disk;
    std::unique_ptr<Daemon> _daemon; ///< ends before its disk goes
};

CPPUNIT_TEST_SUITE_REGISTRATION(DiskTest);
