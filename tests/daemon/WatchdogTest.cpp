// What systemd is told: that the daemon is alive, as long as it is, and what it does.
#include "agent/store/Database.h"
#include "tests/support/Daemon.h"
#include "tests/support/FrozenDisk.h"
#include "tests/support/NotifySocket.h"
#include "tests/support/SmallDisk.h"
#include "tests/support/Stages.h"

#include <Poco/Data/SQLite/Connector.h>

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <optional>

#include <sys/ptrace.h>
#include <sys/wait.h>

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using agent::FrozenDisk;
using agent::SmallDisk;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::NotifySocket;
using agent::test::shell;
using agent::test::waitFor;

namespace
{

constexpr auto interval = 3s;
const std::string fed = "WATCHDOG=1";

std::multimap<std::string, fs::path> threadsOf(int pid)
{
    std::multimap<std::string, fs::path> threads;
    for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(pid) + "/task"))
    {
        const std::string name = contentOf(task.path() / "comm");
        threads.emplace(name.substr(0, name.find('\n')), task.path());
    }
    return threads;
}

/// Stops the threads of that name, and no others, until the end of the object: a daemon that hangs.
class StoppedThreads
{
public:
    StoppedThreads(int pid, std::string name) : _pid(pid), _name(std::move(name)) {}

    /// Also stops those that have started meanwhile; only where they sleep, for then they hold no lock.
    void stop()
    {
        const auto threads = threadsOf(_pid);
        const auto [first, last] = threads.equal_range(_name);
        for (auto thread = first; thread != last; ++thread)
        {
            const pid_t id = std::stoi(thread->second.filename().string());
            if (std::count(_stopped.begin(), _stopped.end(), id) != 0 ||
                contentOf(thread->second / "stat").find(") S ") == std::string::npos)
                continue;
            CPPUNIT_ASSERT_EQUAL(0L, ::ptrace(PTRACE_SEIZE, id, nullptr, nullptr));
            _stopped.push_back(id);
            CPPUNIT_ASSERT_EQUAL(0L, ::ptrace(PTRACE_INTERRUPT, id, nullptr, nullptr));
            CPPUNIT_ASSERT_EQUAL(id, ::waitpid(id, nullptr, __WALL));
        }
    }
    ~StoppedThreads()
    {
        for (const pid_t id : _stopped)
            ::ptrace(PTRACE_DETACH, id, nullptr, nullptr);
    }
    StoppedThreads(const StoppedThreads&) = delete;
    StoppedThreads& operator=(const StoppedThreads&) = delete;

private:
    int _pid;
    std::string _name;
    std::vector<pid_t> _stopped;
};

} // namespace

class WatchdogTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(WatchdogTest);
    CPPUNIT_TEST(testIsFedWhileAllAnswer);
    CPPUNIT_TEST(testIsNotFedWhileTheEngineHangs);
    CPPUNIT_TEST(testIsNotFedWhileTheHttpLoopHangs);
    CPPUNIT_TEST(testIsNotFedWhileTheThreadsForRequestsHang);
    CPPUNIT_TEST(testAFullDiskIsAnAnswer);
    CPPUNIT_TEST(testAWaitForTheDiskIsAnAnswer);
    CPPUNIT_TEST(testWithoutAWatchdogNothingWakesUp);
    CPPUNIT_TEST(testTheStatusSaysWhatRunsAndWaits);
    CPPUNIT_TEST(testTheStatusBeginsWithAFullDisk);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _daemon.emplace();
        _socket.emplace(_daemon->folder() / "notify");
        _daemon->setEnvironment("NOTIFY_SOCKET", _socket->path());
        _daemon->setEnvironment(
            "WATCHDOG_USEC",
            std::to_string(
                std::chrono::duration_cast<std::chrono::microseconds>(interval).count()));
    }

    void tearDown() override
    {
        if (_frozen)
            _frozen->thaw();
        _daemon.reset();
        _socket.reset();
        _frozen.reset();
        _disk.reset();
    }

    void testIsFedWhileAllAnswer()
    {
        _daemon->start();
        _socket->waitFor("READY=1");
        _socket->waitForMore(fed, 3);
        CPPUNIT_ASSERT_EQUAL(0, _daemon->stop());
        CPPUNIT_ASSERT_EQUAL(std::ptrdiff_t{1}, _socket->count("STOPPING=1"));
    }

    void testIsNotFedWhileTheEngineHangs() { assertHangIsSeen("engine", "the engine"); }

    void testIsNotFedWhileTheHttpLoopHangs() { assertHangIsSeen("http", "the HTTP server"); }

    void testIsNotFedWhileTheThreadsForRequestsHang()
    {
        // All that are started: there may be four.
        assertHangIsSeen("http-short", "the HTTP server");
    }

    void testAFullDiskIsAnAnswer()
    {
        _disk = std::make_unique<SmallDisk>("64M");
        if (!_disk->mounted())
            return;
        _daemon->set("state.dir", (_disk->path() / "state").string());
        _daemon->set("disk.min_free", "1M");
        _daemon->start();
        const auto run = _daemon->submit(listOf({shell("true")}));
        _daemon->waitForRun(run, "SUCCESS");
        // A reader that keeps the log from being written over: without one the record's own blocks last for ever.
        Poco::Data::SQLite::Connector::registerConnector();
        agent::RecordSession reader(_disk->path() / "state" / "record.db",
                                    agent::RecordSession::Mode::Beside);
        reader.execute("BEGIN");
        CPPUNIT_ASSERT(reader.prepareOnce("SELECT id FROM runs").step());
        _disk->fill();
        int refusals = 0;
        const auto refused = [&]
        {
            const std::string message(8000, 'x');
            const bool refusal =
                _daemon->patch("/api/runs/" + run, R"({"commitMessage":")" + message + "\"}")
                    .status == 503;
            refusals += refusal ? 1 : 0;
            return refusal;
        };
        const auto begin = std::chrono::steady_clock::now();
        // Until what the record has set aside for itself is used up.
        waitFor("a change to be refused", refused);
        _socket->waitForMore(fed, 3);
        // A smaller change may still have found room meanwhile, and put the status right again.
        waitFor("the status",
                [&]
                {
                    refused();
                    return lastStatus().starts_with(
                               "STATUS=full disk: below disk.min_free, 0 MiB free") &&
                           lastStatus().find("the record can't be written") != std::string::npos;
                });
        waitFor("more refusals", [&] { return refused() && refusals > 20; });
        // The journal is told once a minute, and after each change that found room.
        const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(
            std::chrono::steady_clock::now() - begin);
        const auto told = timesSaid("nothing could be written");
        CPPUNIT_ASSERT(told >= 1 &&
                       told <= 1 + timesSaid("the record can be written again") + minutes.count());
        reader.execute("COMMIT");
        _disk->free();
        waitFor("the status to be well",
                [&] { return lastStatus() == "STATUS=0 running, 0 queued"; });
    }

    void testAWaitForTheDiskIsAnAnswer()
    {
        _frozen = std::make_unique<FrozenDisk>();
        if (!_frozen->mounted())
            return;
        _daemon->set("state.dir", (_frozen->path() / "state").string());
        _daemon->set("disk.min_free", "1M");
        _daemon->start();
        CPPUNIT_ASSERT(_frozen->freeze());
        auto answer =
            std::async(std::launch::async,
                       [&]
                       {
                           return _daemon->post("/api/runs", R"({"pipeline":{"stages":)" +
                                                                 listOf({shell("true")}) + "}}");
                       });
        waitFor("the engine to wait for its disk",
                [&]
                {
                    const auto engine = threadsOf(_daemon->pid()).find("engine")->second;
                    return contentOf(engine / "stat").find(") D ") != std::string::npos;
                });
        _socket->waitForMore(fed, 4); // more than an interval: none of them was on its way before
        CPPUNIT_ASSERT(answer.wait_for(0s) != std::future_status::ready);
        _frozen->thaw();
        CPPUNIT_ASSERT_EQUAL(201, answer.get().status);
    }

    void testWithoutAWatchdogNothingWakesUp()
    {
        _daemon->setEnvironment("WATCHDOG_USEC", "");
        _daemon->start();
        _socket->waitFor("READY=1");
        waitFor("the thread to name itself",
                [&] { return threadsOf(_daemon->pid()).count("status") == 1; });
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, threadsOf(_daemon->pid()).count("watchdog"));
        _daemon->setEnvironment("NOTIFY_SOCKET", "");
        _daemon->stop();
        _daemon->start();
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, threadsOf(_daemon->pid()).count("status"));
    }

    void testTheStatusSaysWhatRunsAndWaits()
    {
        _daemon->set("executor.slots", "1");
        _daemon->start();
        _socket->waitFor("STATUS=0 running, 0 queued");
        const std::string wait = listOf({shell("until test -e go; do sleep 0.1; done")});
        const auto first = _daemon->submit(wait);
        const auto second = _daemon->submit(wait);
        _daemon->submit(wait);
        _socket->waitFor("STATUS=1 running, 2 queued");
        CPPUNIT_ASSERT_EQUAL(200, _daemon->post("/api/agent/drain").status);
        _socket->waitFor("STATUS=1 running, 2 queued, draining");
        CPPUNIT_ASSERT_EQUAL(200, _daemon->post("/api/runs/" + second + "/stop").status);
        _socket->waitFor("STATUS=1 running, 1 queued, draining");
        // On change only: no message is the one before it once more.
        std::string before;
        for (const auto& message : _socket->messages())
            if (message.starts_with("STATUS="))
            {
                CPPUNIT_ASSERT(message != before);
                before = message;
            }
    }

    void testTheStatusBeginsWithAFullDisk()
    {
        _daemon->set("disk.min_free", "1000000G");
        _daemon->start();
        waitFor("the status",
                [&]
                {
                    const std::string status = lastStatus();
                    return status.starts_with("STATUS=full disk: ") &&
                           status.ends_with(" MiB free, no new stage starts; 0 running, 0 queued");
                });
    }

private:
    void assertHangIsSeen(const std::string& thread, const std::string& part)
    {
        _daemon->start();
        _socket->waitForMore(fed, 2);
        {
            StoppedThreads stopped(_daemon->pid(), thread);
            waitFor("it to be fed no more",
                    [&]
                    {
                        stopped.stop();
                        return !_socket->comes(fed, interval);
                    });
            const std::string output = _daemon->output();
            CPPUNIT_ASSERT_MESSAGE(output,
                                   output.find(part + " does not answer") != std::string::npos);
        }
        _socket->waitForMore(fed, 2);
    }

    [[nodiscard]] std::int64_t timesSaid(const std::string& words) const
    {
        std::int64_t times = 0;
        const std::string output = _daemon->output();
        for (auto at = output.find(words); at != std::string::npos; at = output.find(words, at + 1))
            ++times;
        return times;
    }

    std::string lastStatus()
    {
        std::string last;
        for (const auto& message : _socket->messages())
            if (message.starts_with("STATUS="))
                last = message;
        return last;
    }

    std::unique_ptr<SmallDisk> _disk;
    std::unique_ptr<FrozenDisk> _frozen;
    std::optional<Daemon> _daemon;
    std::optional<NotifySocket> _socket;
};

CPPUNIT_TEST_SUITE_REGISTRATION(WatchdogTest);
