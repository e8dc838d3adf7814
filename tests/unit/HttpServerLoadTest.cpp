#include "tests/support/TestServer.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

namespace agent
{
namespace
{

using test::hostLine;
using test::RawAnswer;
using test::RawClient;
using test::TestServer;
using namespace std::chrono_literals;

using test::eventually;
using Clock = std::chrono::steady_clock;

/// How often each thread of this process has gone to sleep.
std::map<std::string, long> sleepsByThread()
{
    std::map<std::string, long> sleeps;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
    {
        std::ifstream status(entry.path() / "status");
        for (std::string word; status >> word;)
            if (word == "voluntary_ctxt_switches:")
                status >> sleeps[entry.path().filename()];
    }
    return sleeps;
}

/// Whether no thread but those of `before` goes to sleep anew for so long.
bool quietFor(const std::map<std::string, long>& before, std::chrono::milliseconds time)
{
    auto first = sleepsByThread();
    std::this_thread::sleep_for(time);
    auto second = sleepsByThread();
    for (const auto& [thread, count] : before)
    {
        first.erase(thread);
        second.erase(thread);
    }
    return first.size() >= 2 && first == second;
}

std::size_t socketCount()
{
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry.path(), gone).string().starts_with("socket:"))
            ++count;
    }
    return count;
}

} // namespace

class HttpServerLoadTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(HttpServerLoadTest);
    CPPUNIT_TEST(testDrippedHeadIsCut);
    CPPUNIT_TEST(testSlowBodyIsCut);
    CPPUNIT_TEST(testIdleConnectionIsClosedSilently);
    CPPUNIT_TEST(testSlowReaderIsCut);
    CPPUNIT_TEST(testIdleAndDrippingClientsDoNotStarveOthers);
    CPPUNIT_TEST(testBusyConnectionsShareOneThread);
    CPPUNIT_TEST(testTooManyWaitingGet503);
    CPPUNIT_TEST(testSleepsWhenIdle);
    CPPUNIT_TEST(testClientsThatLeftWakeNoThread);
    CPPUNIT_TEST(testStopsAtOnceWithIdleConnections);
    CPPUNIT_TEST(testStopLetsARunningHandlerAnswer);
    CPPUNIT_TEST(testManyClientsAtOnce);
    CPPUNIT_TEST(testClientsThatReadNothingHoldUpNobody);
    CPPUNIT_TEST(testPagesAreMadeAsTheyAreTaken);
    CPPUNIT_TEST(testALongRequestHoldsUpNoShortOne);
    CPPUNIT_TEST(testAHandlerIsToldThatItsClientIsGone);
    CPPUNIT_TEST(testAClientThatTakesTooLittleIsCut);
    CPPUNIT_TEST(testNewClientsTakeThePlaceOfIdleOnes);
    CPPUNIT_TEST_SUITE_END();

public:
    void testDrippedHeadIsCut()
    {
        TestServer server({.headDeadlineMs = 400});
        RawClient client(server.url());
        const auto start = Clock::now();
        std::atomic<bool> done = false;
        std::thread dripper(
            [&]
            {
                client.send("GET / HTTP/1.1\r\nX: ");
                while (!done.load() && client.send("a"))
                    std::this_thread::sleep_for(20ms);
            });
        const RawAnswer answer = client.receive();
        const auto took = Clock::now() - start;
        done.store(true);
        dripper.join();
        CPPUNIT_ASSERT_EQUAL(408, answer.status);
        CPPUNIT_ASSERT(took >= 390ms && took < 5s);
    }

    void testSlowBodyIsCut()
    {
        TestServer server({.bodyDeadlineMs = 200});
        RawClient client(server.url());
        client.send("POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 10\r\n\r\n12345");
        CPPUNIT_ASSERT_EQUAL(408, client.receive().status);
        CPPUNIT_ASSERT_EQUAL(0, server.calls.load());
    }

    void testIdleConnectionIsClosedSilently()
    {
        TestServer server({.headDeadlineMs = 200, .idleDeadlineMs = 200});
        RawClient client(server.url());
        CPPUNIT_ASSERT_EQUAL(200, client.get("/").status);
        CPPUNIT_ASSERT_EQUAL(std::string(), client.receiveAll());
        RawClient mute(server.url());
        CPPUNIT_ASSERT_EQUAL(std::string(), mute.receiveAll());
    }

    void testSlowReaderIsCut()
    {
        TestServer server({.threads = 1, .writeDeadlineMs = 3000});
        RawClient client(server.url(), 4096);
        client.send("GET /big HTTP/1.1\r\n" + hostLine + "\r\n");
        CPPUNIT_ASSERT(eventually([&] { return server.calls.load() == 1; }));
        RawClient other(server.url());
        CPPUNIT_ASSERT_EQUAL(200, other.get("/").status);
        RawClient able(server.url());
        CPPUNIT_ASSERT_EQUAL(std::size_t{64} << 20, able.get("/big").body.size());
    }

    /// Symptom: no answer to anybody. Cause: a stock Poco server gives each connection a thread for as
    /// long as it is open. Bound: health checks within a second while 264 others sit there.
    void testIdleAndDrippingClientsDoNotStarveOthers()
    {
        TestServer server({.threads = 8});
        std::vector<RawClient> idle;
        for (int i = 0; i < 200; ++i)
        {
            idle.emplace_back(server.url());
            CPPUNIT_ASSERT_EQUAL(200, idle.back().get("/").status);
        }
        std::vector<RawClient> dripping;
        for (int i = 0; i < 64; ++i)
        {
            dripping.emplace_back(server.url());
            dripping.back().send(i % 2 == 0
                                     ? "GET / HTTP/1.1\r\nX: "
                                     : "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n");
        }
        for (int round = 0; round < 10; ++round)
        {
            for (RawClient& client : dripping)
                client.send("a");
            const auto start = Clock::now();
            RawClient client(server.url());
            CPPUNIT_ASSERT_EQUAL(200, client.get("/healthz").status);
            CPPUNIT_ASSERT(Clock::now() - start < 1s);
        }
        for (RawClient& client : idle)
            CPPUNIT_ASSERT_EQUAL(200, client.get("/still").status);
    }

    void testBusyConnectionsShareOneThread()
    {
        TestServer server({.threads = 1});
        std::vector<std::thread> clients;
        clients.reserve(6);
        std::atomic<int> answered = 0;
        for (int i = 0; i < 6; ++i)
            clients.emplace_back(
                [&]
                {
                    RawClient client(server.url());
                    for (int k = 0; k < 50; ++k)
                        if (client.get("/").status == 200)
                            ++answered;
                });
        for (std::thread& client : clients)
            client.join();
        CPPUNIT_ASSERT_EQUAL(300, answered.load());
    }

    void testTooManyWaitingGet503()
    {
        TestServer server({.threads = 1, .queued = 1});
        RawClient running(server.url());
        running.send("GET /wait HTTP/1.1\r\n" + hostLine + "\r\n");
        CPPUNIT_ASSERT(server.gate.waitEntered(1));
        std::vector<RawClient> later;
        for (int i = 0; i < 2; ++i)
        {
            later.emplace_back(server.url());
            later.back().send("GET /x HTTP/1.1\r\n" + hostLine + "\r\n");
        }
        const RawAnswer refused = later.back().receive();
        CPPUNIT_ASSERT_EQUAL(503, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), refused.header("Retry-After"));
        CPPUNIT_ASSERT_EQUAL(std::string(), later.back().receiveAll());
        server.gate.open();
        CPPUNIT_ASSERT_EQUAL(200, running.receive().status);
        CPPUNIT_ASSERT_EQUAL(200, later.front().receive().status);
    }

    /// Bound: no thread of the server wakes up by itself, while connections are open and right after a
    /// burst of requests.
    void testSleepsWhenIdle()
    {
        const auto before = sleepsByThread();
        TestServer server({.threads = 8});
        std::vector<RawClient> clients;
        clients.reserve(20);
        for (int i = 0; i < 20; ++i)
            clients.emplace_back(server.url());
        for (const RawClient& client : clients)
            client.send("GET / HTTP/1.1\r\n" + hostLine + "\r\n");
        for (RawClient& client : clients)
            CPPUNIT_ASSERT_EQUAL(200, client.receive().status);

        CPPUNIT_ASSERT(eventually([&] { return quietFor(before, 100ms); }));
        CPPUNIT_ASSERT(quietFor(before, 2000ms));
    }

    /// Symptom: a dozen wake-ups in the seconds after a burst of requests. Cause: the deadlines of
    /// connections that were closed. Bound: none within the time of those deadlines.
    void testClientsThatLeftWakeNoThread()
    {
        const auto before = sleepsByThread();
        TestServer server({.headDeadlineMs = 1500, .idleDeadlineMs = 1500});
        for (int i = 0; i < 20; ++i)
            CPPUNIT_ASSERT_EQUAL(200, RawClient(server.url()).get("/").status);
        CPPUNIT_ASSERT(eventually([&] { return quietFor(before, 100ms); }));
        CPPUNIT_ASSERT(quietFor(before, 2000ms));
    }

    void testStopsAtOnceWithIdleConnections()
    {
        TestServer server;
        std::vector<RawClient> clients;
        for (int i = 0; i < 10; ++i)
        {
            clients.emplace_back(server.url());
            CPPUNIT_ASSERT_EQUAL(200, clients.back().get("/").status);
        }
        const auto start = Clock::now();
        server.stop();
        CPPUNIT_ASSERT(Clock::now() - start < 1s);
        for (RawClient& client : clients)
            CPPUNIT_ASSERT_EQUAL(std::string(), client.receiveAll());
        CPPUNIT_ASSERT_THROW(RawClient(server.url()), std::runtime_error);
    }

    void testStopLetsARunningHandlerAnswer()
    {
        TestServer server({.threads = 1});
        RawClient running(server.url());
        running.send("GET /wait HTTP/1.1\r\n" + hostLine + "\r\n");
        CPPUNIT_ASSERT(server.gate.waitEntered(1));
        RawClient waiting(server.url());
        waiting.send("GET /later HTTP/1.1\r\n" + hostLine + "\r\n");
        CPPUNIT_ASSERT(eventually([&] { return waiting.wasRead(); }));
        std::thread stopper([&] { server.stop(); });
        const int refused = waiting.receive().status;
        server.gate.open();
        const RawAnswer answer = running.receive();
        stopper.join();
        CPPUNIT_ASSERT_EQUAL(503, refused);
        CPPUNIT_ASSERT_EQUAL(200, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("close"), answer.header("Connection"));
    }

    void testManyClientsAtOnce()
    {
        TestServer server({.threads = 4, .queued = 100});
        std::vector<std::thread> threads;
        threads.reserve(12);
        std::atomic<int> right = 0;
        for (int i = 0; i < 12; ++i)
            threads.emplace_back(
                [&server, &right, i]
                {
                    for (int k = 0; k < 30; ++k)
                    {
                        RawClient client(server.url());
                        for (int n = 0; n <= k % 4; ++n)
                        {
                            const std::string body = std::to_string(i * 1000 + k * 10 + n);
                            if (client.post("/m", body).body == "POST /m " + body)
                                ++right;
                        }
                        if (k % 5 == 0)
                            client.send("POST / HTTP/1.1\r\nContent-Le");
                    }
                });
        for (std::thread& thread : threads)
            thread.join();
        CPPUNIT_ASSERT_EQUAL(12 * (30 / 4 * 10 + 1 + 2), right.load());
    }

    /// Symptom: no answer to anybody for 30 s. Cause: a thread waited for each client that read nothing.
    /// Bound: 40 such clients and one thread of each kind.
    void testClientsThatReadNothingHoldUpNobody()
    {
        TestServer server({.threads = 1, .longThreads = 1});
        std::vector<RawClient> mute;
        for (int i = 0; i < 40; ++i)
        {
            mute.emplace_back(server.url(), 4096);
            mute.back().send("GET /pages HTTP/1.1\r\n" + hostLine + "\r\n");
        }
        CPPUNIT_ASSERT(eventually([&] { return server.calls.load() == 40; }));
        RawClient other(server.url());
        for (int i = 0; i < 10; ++i)
            CPPUNIT_ASSERT_EQUAL(200, other.get("/").status);
    }

    void testPagesAreMadeAsTheyAreTaken()
    {
        TestServer server;
        RawClient mute(server.url(), 4096);
        mute.send("GET /pages HTTP/1.1\r\n" + hostLine + "\r\n");
        CPPUNIT_ASSERT(eventually([&] { return server.pagesMade.load() > 0; }));
        RawClient able(server.url());
        able.send("GET /pages HTTP/1.0\r\n" + hostLine + "\r\n");
        const std::string all = able.receiveAll();
        CPPUNIT_ASSERT_EQUAL(std::size_t{100} << 18, all.size() - all.find("\r\n\r\n") - 4);
        // What the kernel keeps of the other one's, and one page that waits.
        CPPUNIT_ASSERT(server.pagesMade.load() < 150);
    }

    void testALongRequestHoldsUpNoShortOne()
    {
        TestServer server({.threads = 1, .longThreads = 1, .queued = 1});
        std::optional<RawClient> first(std::in_place, server.url());
        first->send("GET /long/gone HTTP/1.1\r\n" + hostLine + "\r\n");
        CPPUNIT_ASSERT(eventually([&] { return server.calls.load() == 1; }));
        RawClient second(server.url());
        second.send("GET /long HTTP/1.1\r\n" + hostLine + "\r\n");
        RawClient other(server.url());
        CPPUNIT_ASSERT_EQUAL(200, other.get("/").status);
        CPPUNIT_ASSERT_EQUAL(2, server.calls.load());
        first.reset();
        CPPUNIT_ASSERT_EQUAL(200, second.receive().status);
    }

    void testAHandlerIsToldThatItsClientIsGone()
    {
        TestServer server;
        {
            RawClient client(server.url());
            client.send("GET /long/gone HTTP/1.1\r\n" + hostLine + "\r\n");
            CPPUNIT_ASSERT(eventually([&] { return server.calls.load() == 1; }));
        }
        CPPUNIT_ASSERT(eventually([&] { return server.goneSeen.load(); }));
    }

    void testAClientThatTakesTooLittleIsCut()
    {
        TestServer server({.writeDeadlineMs = 300});
        const auto before = socketCount();
        const RawClient client(server.url(), 4096);
        CPPUNIT_ASSERT(client.send("GET /big HTTP/1.1\r\n" + hostLine + "\r\n"));
        CPPUNIT_ASSERT(eventually([&] { return server.calls.load() == 1; }));
        // Both ends are in this process: the server's is closed.
        CPPUNIT_ASSERT(eventually([&] { return socketCount() == before + 1; }));
    }

    void testNewClientsTakeThePlaceOfIdleOnes()
    {
        TestServer server({.connections = 16});
        std::vector<RawClient> idle;
        for (int i = 0; i < 16; ++i)
        {
            idle.emplace_back(server.url());
            CPPUNIT_ASSERT_EQUAL(200, idle.back().get("/").status);
        }
        for (int i = 0; i < 16; ++i)
        {
            RawClient client(server.url());
            CPPUNIT_ASSERT_EQUAL(200, client.get("/").status);
        }
        CPPUNIT_ASSERT(idle.front().isClosedWithin(5s));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(HttpServerLoadTest);

} // namespace agent
