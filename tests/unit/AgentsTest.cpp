#include "agent/ctl/Agents.h"

#include "agent/ctl/Json.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <stdexcept>
#include <string_view>

using agent::ctl::Agents;
using agent::ctl::Client;
using agent::ctl::Exit;
using agent::ctl::Failure;
using agent::ctl::listed;
using agent::ctl::objectsIn;
using agent::ctl::withMember;
using agent::ctl::worst;

class AgentsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(AgentsTest);
    CPPUNIT_TEST(testAnAddressGivenTwiceCountsOnce);
    CPPUNIT_TEST(testHostNamesAreAsShortAsUnique);
    CPPUNIT_TEST(testRepliesKeepTheOrderAndFailuresNameTheirAgent);
    CPPUNIT_TEST(testManyAgentsShareTheThreads);
    CPPUNIT_TEST(testTheOnlyAgentsFailureIsThrown);
    CPPUNIT_TEST(testTheWorstExitCodeIsTheHighest);
    CPPUNIT_TEST(testObjectsKeepTheirText);
    CPPUNIT_TEST(testAMemberIsAddedInFront);
    CPPUNIT_TEST(testListsAreShownByTheirWordsOrTheirSize);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAnAddressGivenTwiceCountsOnce()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("one two"),
                             hosts({"http://one", "http://two", "http://one/", "http://ONE:80"}));
        CPPUNIT_ASSERT(!Agents({"http://one:7824", "http://one:7824/"}, "", true).several());
    }

    void testHostNamesAreAsShortAsUnique()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("one two"), hosts({"http://one:1", "http://two:1"}));
        CPPUNIT_ASSERT_EQUAL(std::string("one:1 two one:2"),
                             hosts({"http://one:1", "http://two:1", "http://one:2"}));
        CPPUNIT_ASSERT_EQUAL(std::string("[::1]:1 [::1]:2/a [::1]:2/b"),
                             hosts({"http://[::1]:1", "http://[::1]:2/a", "http://[::1]:2/b/"}));
    }

    void testRepliesKeepTheOrderAndFailuresNameTheirAgent()
    {
        const Agents agents({"http://a", "http://b", "http://c", "http://d"}, "", true);
        const auto replies = agents.ask(
            [](const Client& client)
            {
                if (client.url() == "http://b")
                    throw Failure(Exit::NotFound, "no such thing");
                if (client.url() == "http://c")
                    throw std::runtime_error("out of order");
                return client.url();
            });
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, replies.given.size());
        CPPUNIT_ASSERT_EQUAL(std::string("a"), replies.given[0].first->host);
        CPPUNIT_ASSERT_EQUAL(std::string("http://d"), replies.given[1].second);
        CPPUNIT_ASSERT_EQUAL(std::string("\nhttp://b: no such thing\nhttp://c: out of order"),
                             listed(replies.missing));
        CPPUNIT_ASSERT(replies.missing[1].exit() == Exit::AgentFailed);
    }

    void testManyAgentsShareTheThreads()
    {
        std::vector<std::string> urls;
        for (int i = 0; i < 500; ++i)
            urls.push_back("http://host" + std::to_string(i));
        std::atomic<int> now = 0;
        std::atomic<int> most = 0;
        const auto replies = Agents(urls, "", true)
                                 .ask(
                                     [&](const Client&)
                                     {
                                         const int with = ++now;
                                         for (int seen = most; seen < with;)
                                             most.compare_exchange_weak(seen, with);
                                         --now;
                                         return true;
                                     });
        CPPUNIT_ASSERT_EQUAL(std::size_t{500}, replies.given.size());
        CPPUNIT_ASSERT(most <= 32);
    }

    void testTheOnlyAgentsFailureIsThrown()
    {
        const Agents agents({"http://a"}, "", true);
        CPPUNIT_ASSERT_THROW(
            static_cast<void>(agents.ask([](const Client&) -> int
                                         { throw Failure(Exit::NotFound, "no such thing"); })),
            Failure);
    }

    void testTheWorstExitCodeIsTheHighest()
    {
        CPPUNIT_ASSERT(worst({}, Exit::Ok) == Exit::Ok);
        CPPUNIT_ASSERT(worst({}, Exit::NotFound) == Exit::NotFound);
        const std::vector<Failure> two{{Exit::Unreachable, "a"}, {Exit::Refused, "b"}};
        CPPUNIT_ASSERT(worst(two, Exit::NotFound) == Exit::Unreachable);
    }

    void testObjectsKeepTheirText()
    {
        const auto objects =
            objectsIn(" [ {\"a\": \"}\\\"{\", \"b\":{\"c\":[{}]}} ,{}, {\"d\":1.50} ]");
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, objects.size());
        CPPUNIT_ASSERT(objects[0] == "{\"a\": \"}\\\"{\", \"b\":{\"c\":[{}]}}");
        CPPUNIT_ASSERT(objects[1] == "{}");
        CPPUNIT_ASSERT(objects[2] == "{\"d\":1.50}");
        CPPUNIT_ASSERT(objectsIn("{\"a\":[{}]}\n").front() == "{\"a\":[{}]}");
        CPPUNIT_ASSERT(objectsIn("[]").empty());
    }

    void testAMemberIsAddedInFront()
    {
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"agent":"x", "a" : 1.50})"),
                             withMember(R"({ "a" : 1.50})", "agent", R"("x")"));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"agent":"x" })"),
                             withMember("{ }", "agent", R"("x")"));
    }

    void testListsAreShownByTheirWordsOrTheirSize()
    {
        for (const auto& [json, shown] : {std::pair(R"(["memory","cpu"])", "memory, cpu"),
                                          {R"(["memory"])", "memory"},
                                          {"[]", "none"},
                                          {R"([{"a":1},{}])", "2 entries"},
                                          {R"({"a":[]})", "1 entry"}})
        {
            rapidjson::Document document;
            CPPUNIT_ASSERT(agent::ctl::parseJson(json, document));
            CPPUNIT_ASSERT_EQUAL(std::string(shown), agent::ctl::asText(document));
        }
    }

private:
    static std::string hosts(const std::vector<std::string>& urls)
    {
        const Agents agents(urls, "", true);
        std::string all;
        for (const auto& agent : agents.all())
            all += (all.empty() ? "" : " ") + agent.host;
        return all;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(AgentsTest);
