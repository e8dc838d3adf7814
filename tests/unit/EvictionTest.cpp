#include "agent/api/Eviction.h"

#include "agent/os/DescriptorLimit.h"
#include "tests/support/TestServer.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <numeric>

namespace agent
{
namespace
{

using test::RawClient;
using test::TestServer;
using Use = Evictable::Use;
using namespace std::chrono_literals;

Evictable one(int fd, const std::string& share, Use use, int age)
{
    return {fd, share, use, std::chrono::steady_clock::time_point() - std::chrono::seconds(age)};
}

Peer at(const std::string& address)
{
    Peer peer;
    peer.address = address;
    return peer;
}

std::string chosen(const std::vector<Evictable>& connections, std::size_t count)
{
    std::string text;
    for (const int fd : chooseEvicted(connections, count))
        text += (text.empty() ? "" : " ") + std::to_string(fd);
    return text;
}

} // namespace

class EvictionTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(EvictionTest);
    CPPUNIT_TEST(testWhoHasMostLosesFirst);
    CPPUNIT_TEST(testOfOnesOwnTheLeastUsedAndOldestGoFirst);
    CPPUNIT_TEST(testAHostsAddressesShare);
    CPPUNIT_TEST(testThousandsOfHoardedConnectionsCostNobodyElseOne);
    CPPUNIT_TEST(testAConnectionThatHasJustComeOutlivesHoardedOnesOfTheSameHost);
    CPPUNIT_TEST_SUITE_END();

public:
    void testWhoHasMostLosesFirst()
    {
        const std::vector<Evictable> all{one(1, "a", Use::Idle, 100), one(2, "b", Use::Fresh, 0),
                                         one(3, "b", Use::Fresh, 1),  one(4, "b", Use::Fresh, 2),
                                         one(5, "c", Use::Slow, 50),  one(6, "c", Use::Slow, 60)};
        CPPUNIT_ASSERT_EQUAL(std::string("4"), chosen(all, 1));
        const auto three = chooseEvicted(all, 3);
        CPPUNIT_ASSERT_EQUAL(std::ptrdiff_t{0}, std::count(three.begin(), three.end(), 1));
        CPPUNIT_ASSERT_EQUAL(std::size_t{6}, chooseEvicted(all, 10).size());
    }

    void testOfOnesOwnTheLeastUsedAndOldestGoFirst()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("5 4 3 2 1"),
                             chosen({one(1, "a", Use::Fresh, 0), one(2, "a", Use::Slow, 3),
                                     one(3, "a", Use::Slow, 9), one(4, "a", Use::Idle, 1),
                                     one(5, "a", Use::Draining, 0)},
                                    9));
    }

    void testAHostsAddressesShare()
    {
        CPPUNIT_ASSERT_EQUAL(shareOf(at("2001:db8::1")), shareOf(at("2001:db8::ffff:1")));
        CPPUNIT_ASSERT(shareOf(at("2001:db8::1")) != shareOf(at("2001:db8:0:1::1")));
        CPPUNIT_ASSERT(shareOf(at("192.0.2.1")) != shareOf(at("192.0.2.2")));
        Peer root;
        root.door = Peer::Door::Unix;
        root.uid = 0;
        Peer other = root;
        other.uid = 1000;
        CPPUNIT_ASSERT(shareOf(root) != shareOf(other));
    }

    /// Symptom: with all places taken by connections that send half a request head, a new one was closed
    /// before its first byte was read, for it counted as idle. Bound: each honest request is answered, and
    /// the honest client's open connection stays.
    void testThousandsOfHoardedConnectionsCostNobodyElseOne()
    {
        raiseDescriptorLimit();
        TestServer server({.connections = 1500}, {.address = "0.0.0.0"});
        RawClient kept(server.url());
        CPPUNIT_ASSERT_EQUAL(200, kept.get("/").status);
        std::vector<RawClient> hoard;
        for (int i = 0; i < 3000; ++i)
        {
            hoard.emplace_back(server.url(), 0, "127.0.0.2");
            hoard.back().send("GET / HTTP/1.1\r\nHost: ");
            if (i % 100 != 0)
                continue;
            RawClient honest(server.url());
            CPPUNIT_ASSERT_EQUAL(200, honest.get("/").status);
        }
        CPPUNIT_ASSERT_EQUAL(200, kept.get("/").status);
    }

    void testAConnectionThatHasJustComeOutlivesHoardedOnesOfTheSameHost()
    {
        TestServer server({.connections = 64});
        std::vector<RawClient> hoard;
        for (int i = 0; i < 64; ++i)
        {
            hoard.emplace_back(server.url());
            hoard.back().send("GET / HTTP/1.1\r\nHost: ");
        }
        // Of connections of any age the oldest go first; one whose bytes nobody has read gets no answer.
        for (const auto& hoarded : hoard)
            CPPUNIT_ASSERT(test::eventually([&] { return hoarded.wasRead(); }));
        RawClient honest(server.url());
        for (int i = 0; i < 32; ++i)
            hoard.emplace_back(server.url());
        CPPUNIT_ASSERT_EQUAL(200, honest.get("/").status);
        CPPUNIT_ASSERT_EQUAL(503, hoard.front().receive().status);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(EvictionTest);

} // namespace agent
