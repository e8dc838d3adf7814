// Who holds the agent's port while there is no agent (docs/access.md, "Who keeps the port").
#include "agent/os/FileDescriptor.h"

#include "tests/support/Daemon.h"
#include "tests/support/RawClient.h"

#include <Poco/Net/SocketAddress.h>
#include <Poco/URI.h>
#include <cppunit/extensions/HelperMacros.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <iterator>

#include <sys/socket.h>
#include <unistd.h>

namespace fs = std::filesystem;

using agent::FileDescriptor;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::waitFor;
using Poco::Net::SocketAddress;

namespace
{

/// Listens as a stage that wants the port would. Returns errno; 0 if it got it.
int takes(const SocketAddress& address)
{
    const FileDescriptor socket(::socket(address.af(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    return ::bind(socket.get(), address.addr(), address.length()) == 0 &&
                   ::listen(socket.get(), 8) == 0
               ? 0
               : errno;
}

/// A port on which we listen.
class Taken
{
public:
    Taken()
    {
        const SocketAddress any("127.0.0.1", 0);
        CPPUNIT_ASSERT_EQUAL(0, ::bind(_socket.get(), any.addr(), any.length()));
        CPPUNIT_ASSERT_EQUAL(0, ::listen(_socket.get(), 8));
    }

    [[nodiscard]] std::string port() const
    {
        sockaddr_storage found{};
        socklen_t length = sizeof found;
        auto* const generic = reinterpret_cast<sockaddr*>(&found);
        CPPUNIT_ASSERT_EQUAL(0, ::getsockname(_socket.get(), generic, &length));
        return std::to_string(SocketAddress(generic, length).port());
    }

private:
    FileDescriptor _socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

std::size_t descriptorsOf(int pid)
{
    const fs::directory_iterator all("/proc/" + std::to_string(pid) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Once the last agent's spare shim is gone and this one's is known.
std::size_t settledDescriptorsOf(int pid)
{
    std::size_t last = 0;
    int same = 0;
    waitFor("the descriptors",
            [&]
            {
                const std::size_t now = descriptorsOf(pid);
                same = now == last ? same + 1 : 0;
                last = now;
                return same == 20;
            });
    return last;
}

} // namespace

class PortKeeperTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(PortKeeperTest);
    CPPUNIT_TEST(testNobodyGetsThePortOfAKilledAgentWhileAStageRuns);
    CPPUNIT_TEST(testAStageNeverGetsThePort);
    CPPUNIT_TEST(testARequestThatComesMeanwhileIsAnsweredByTheNextAgent);
    CPPUNIT_TEST(testEndsWithTheAgentWhereNoStageRuns);
    CPPUNIT_TEST(testEndsWithTheLastStage);
    CPPUNIT_TEST(testTheNextAgentMayHaveAnotherPort);
    CPPUNIT_TEST(testTheNextAgentMayHaveAnotherAddress);
    CPPUNIT_TEST(testAnAgentThatCannotStartLeavesItThere);
    CPPUNIT_TEST(testAnAgentWhosePortIsTakenLeavesTheOldOneThere);
    CPPUNIT_TEST(testRestartsLeaveItNoMoreDescriptors);
    CPPUNIT_TEST(testDoesNotRemoveTheDoorOfAnother);
    CPPUNIT_TEST(testOneThatWasKilledIsReplacedAtTheNextStage);
    CPPUNIT_TEST(testHasNothingForAnotherAgentOfTheHost);
    CPPUNIT_TEST(testTheDoctorKnowsIt);
    CPPUNIT_TEST(testTheDoctorTellsItFromAnotherHolder);
    CPPUNIT_TEST_SUITE_END();

    Daemon _daemon;
    std::string _run;

public:
    void testNobodyGetsThePortOfAKilledAgentWhileAStageRuns()
    {
        _daemon.start();
        const std::string url = _daemon.url();
        startStage();
        const int keeper = keepers().at(0);
        for (int round = 0; round < 2; ++round) // the second agent has the keeper of the first one
        {
            _daemon.kill();
            assertNobodyGetsIt(url);
            _daemon.start();
            CPPUNIT_ASSERT_EQUAL(url, _daemon.url());
            CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs").status);
            CPPUNIT_ASSERT_EQUAL(keeper, keepers().at(0));
        }
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        assertNobodyGetsIt(url);
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(url, _daemon.url());
        letGo();
        _daemon.waitForRun(_run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, keepers().size());
    }

    // Symptom: a stage listened on the port of an agent that was restarted and was told the tokens of its clients; the
    // next start ended with 70. Cause: nobody held the port meanwhile. Here the stage tries all the time.
    void testAStageNeverGetsThePort()
    {
        if (!fs::exists("/usr/bin/perl"))
            return;
        _daemon.start();
        const std::string url = _daemon.url();
        const std::string port = std::to_string(Poco::URI(url).getPort());
        _run = _daemon.submit(
            R"json([{"type":"BUILD","plugin":"shell","with":{"command":"perl -MIO::Socket::IP -e '$| = 1; print \"tries\\n\"; until (-e \"go\") { for (\"127.0.0.1\", \"::1\") { IO::Socket::IP->new(LocalHost => $_, LocalPort => )json" +
            port +
            R"json(, Listen => 1, ReuseAddr => 1) and print \"took $_\\n\" } select undef, undef, undef, 0.0005 }'"}}])json");
        const std::string stage = _daemon.stagesOf(_run).at(0);
        waitFor("its first try", [&] { return _daemon.log(stage) == "tries\n"; });
        for (int round = 0; round < 3; ++round)
        {
            _daemon.kill();
            assertNobodyGetsIt(url);
            _daemon.start();
            _daemon.stop();
            _daemon.start();
        }
        CPPUNIT_ASSERT_EQUAL(url, _daemon.url());
        letGo();
        _daemon.waitForRun(_run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("tries\n"), _daemon.log(stage));
    }

    void testARequestThatComesMeanwhileIsAnsweredByTheNextAgent()
    {
        _daemon.start();
        startStage();
        const auto port = Poco::URI(_daemon.url()).getPort();
        _daemon.kill();
        agent::test::RawClient client(_daemon.url());
        client.send("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
                    "\r\nConnection: close\r\n\r\n");
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(200, client.receive().status);
    }

    void testEndsWithTheAgentWhereNoStageRuns()
    {
        _daemon.start();
        const std::string url = _daemon.url();
        startStage();
        letGo();
        _daemon.waitForRun(_run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, keepers().size());
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        CPPUNIT_ASSERT_EQUAL(0, takes(addressOf(url))); // at once
        assertKeeperEnds();

        _daemon.start();
        const std::string again = _daemon.url();
        _daemon.kill();
        assertKeeperEnds();
        CPPUNIT_ASSERT_EQUAL(0, takes(addressOf(again)));
    }

    void testEndsWithTheLastStage()
    {
        _daemon.start();
        const std::string url = _daemon.url();
        startStage();
        _daemon.kill();
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, keepers().size());
        letGo();
        assertKeeperEnds();
        CPPUNIT_ASSERT_EQUAL(0, takes(addressOf(url)));
        _daemon.start();
        _daemon.waitForRun(_run, "SUCCESS");
    }

    void testTheNextAgentMayHaveAnotherPort()
    {
        _daemon.start();
        const std::string url = _daemon.url();
        startStage();
        _daemon.stop();
        _daemon.set("http.port", freePort());
        _daemon.start();
        CPPUNIT_ASSERT(url != _daemon.url());
        CPPUNIT_ASSERT_EQUAL(0, takes(addressOf(url))); // it was let go of
        const std::string other = _daemon.url();
        _daemon.kill();
        assertNobodyGetsIt(other);
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(other, _daemon.url());
    }

    void testTheNextAgentMayHaveAnotherAddress()
    {
        _daemon.set("auth.required", "true");
        _daemon.set("http.plain", "yes, a proxy speaks TLS for me");
        _daemon.start();
        const auto port = Poco::URI(_daemon.url()).getPort();
        startStage();
        _daemon.kill();
        _daemon.set("http.address", "0.0.0.0");
        _daemon.set("http.port", std::to_string(port));
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(port, Poco::URI(_daemon.url()).getPort());
        _daemon.kill();
        CPPUNIT_ASSERT_EQUAL(EADDRINUSE, takes(SocketAddress("127.0.0.2", port)));
    }

    void testAnAgentThatCannotStartLeavesItThere()
    {
        _daemon.start();
        const std::string url = _daemon.url();
        startStage();
        _daemon.stop();
        _daemon.set("http.socket", "/nowhere/api.sock");
        CPPUNIT_ASSERT(!_daemon.tryStart());
        assertNobodyGetsIt(url);
        _daemon.set("http.socket", (_daemon.state() / "api.sock").string());
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(url, _daemon.url());
    }

    // Symptom: nobody held the port any more, though stages ran. Cause: a start that failed at another port had the sockets of
    // the old one listen no more before. Bound: nobody gets it until an agent listens elsewhere.
    void testAnAgentWhosePortIsTakenLeavesTheOldOneThere()
    {
        _daemon.start();
        const std::string url = _daemon.url();
        startStage();
        _daemon.stop();
        const Taken other;
        _daemon.set("http.port", other.port());
        CPPUNIT_ASSERT(!_daemon.tryStart());
        assertNobodyGetsIt(url);
        _daemon.set("http.port", std::to_string(Poco::URI(url).getPort()));
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(url, _daemon.url());
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs").status);
    }

    /// Each agent tells it of all shims that it adopts.
    void testRestartsLeaveItNoMoreDescriptors()
    {
        _daemon.start();
        startStage();
        const int keeper = keepers().at(0);
        std::error_code error;
        const fs::directory_iterator looks("/proc/" + std::to_string(keeper) + "/fd", error);
        if (error)
            return; // only root sees them
        const auto restart = [&]
        {
            _daemon.kill();
            _daemon.start();
            CPPUNIT_ASSERT_EQUAL(keeper, keepers().at(0));
        };
        restart();
        const std::size_t before = settledDescriptorsOf(keeper);
        for (int round = 0; round < 3; ++round)
            restart();
        waitFor("no more descriptors", [&] { return descriptorsOf(keeper) <= before; });
    }

    void testDoesNotRemoveTheDoorOfAnother()
    {
        _daemon.start();
        startStage();
        _daemon.kill();
        const fs::path door = _daemon.state() / "keeper.sock";
        const fs::path other = _daemon.state() / "other.sock";
        const FileDescriptor made(::creat(other.c_str(), 0600));
        CPPUNIT_ASSERT(made.valid());
        fs::rename(other, door);
        letGo();
        waitFor("the end of the keeper", [&] { return keepers().empty(); });
        CPPUNIT_ASSERT(fs::exists(door));
    }

    void testOneThatWasKilledIsReplacedAtTheNextStage()
    {
        _daemon.start();
        const std::string url = _daemon.url();
        const int first = keepers().at(0);
        ::kill(first, SIGKILL);
        startStage();
        // The spare shim for the next stage is started after the launch.
        waitFor("another keeper",
                [&]
                {
                    const auto all = keepers();
                    return !all.empty() && all.at(0) != first;
                });
        _daemon.waitForStage(_daemon.stagesOf(_run).at(0), "IN_PROGRESS");
        startStage(); // with a spare shim of which the keeper knows
        _daemon.kill();
        assertNobodyGetsIt(url);
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(url, _daemon.url());
    }

    void testHasNothingForAnotherAgentOfTheHost()
    {
        _daemon.start();
        startStage();
        Daemon other;
        other.start();
        CPPUNIT_ASSERT(other.url() != _daemon.url());
        other.stop();
        other.set("http.port", std::to_string(Poco::URI(_daemon.url()).getPort()));
        _daemon.kill();
        CPPUNIT_ASSERT(!other.tryStart());
        CPPUNIT_ASSERT(other.output().find("cannot listen on 127.0.0.1:") != std::string::npos);
    }

    void testTheDoctorKnowsIt()
    {
        _daemon.start();
        startStage();
        const std::string port = std::to_string(Poco::URI(_daemon.url()).getPort());
        _daemon.set("http.port", port);
        _daemon.kill();
        std::string findings;
        (void)_daemon.runToEnd({"--doctor"}, findings);
        const std::string seen = "127.0.0.1:" + port + " is held for the agent, as its stages run";
        CPPUNIT_ASSERT_MESSAGE(findings, findings.find(seen) != std::string::npos);
    }

    void testTheDoctorTellsItFromAnotherHolder()
    {
        _daemon.start();
        startStage();
        _daemon.kill();
        const Taken other;
        _daemon.set("http.port", other.port());
        std::string findings;
        (void)_daemon.runToEnd({"--doctor"}, findings);
        const std::string seen = "127.0.0.1:" + other.port() + " is taken by ";
        CPPUNIT_ASSERT_MESSAGE(findings, findings.find(seen) != std::string::npos);
        const std::string who = "(pid " + std::to_string(::getpid()) + ")";
        CPPUNIT_ASSERT_MESSAGE(findings, findings.find(who) != std::string::npos);
    }

private:
    static SocketAddress addressOf(const std::string& url)
    {
        const Poco::URI uri(url);
        return {uri.getHost(), uri.getPort()};
    }

    static std::string freePort() { return Taken().port(); }

    /// Tries a thousand times, on both families of loopback.
    static void assertNobodyGetsIt(const std::string& url)
    {
        const SocketAddress v4 = addressOf(url);
        const SocketAddress v6("::1", v4.port());
        const int missing = takes(SocketAddress("::1", 0)); // 0: the host has IPv6
        for (int i = 0; i < 1000; ++i)
        {
            CPPUNIT_ASSERT_EQUAL(EADDRINUSE, takes(v4));
            if (missing == 0)
                CPPUNIT_ASSERT_EQUAL(EADDRINUSE, takes(v6));
        }
    }

    /// A stage that runs until letGo().
    void startStage()
    {
        _run = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","with":{"command":"until test -e go; do sleep 0.05; done"}}])");
        _daemon.waitForRun(_run, "IN_PROGRESS");
    }

    void letGo() const
    {
        const fs::path workspace =
            _daemon.state() / "runs" / _run.substr(0, 2) / _run / "workspace";
        const FileDescriptor made(::creat((workspace / "go").c_str(), 0600));
        CPPUNIT_ASSERT(made.valid());
    }

    /// The pids of this agent's keepers.
    [[nodiscard]] std::vector<int> keepers() const
    {
        std::vector<int> found;
        for (const auto& entry : fs::directory_iterator("/proc"))
        {
            const int pid = std::atoi(entry.path().filename().c_str());
            if (pid > 0 &&
                contentOf(entry.path() / "cmdline").find("--keep " + _daemon.state().string()) !=
                    std::string::npos)
                found.push_back(pid);
        }
        return found;
    }

    void assertKeeperEnds() const
    {
        waitFor("the end of the keeper",
                [&] { return keepers().empty() && !fs::exists(_daemon.state() / "keeper.sock"); });
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PortKeeperTest);
