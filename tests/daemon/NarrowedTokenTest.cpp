#include "tests/support/AccessFixture.h"
#include "tests/support/StreamClient.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

using agent::test::AccessFixture;
using agent::test::Answer;
using agent::test::listOf;
using agent::test::shell;
using agent::test::StreamClient;

/// Tokens that are narrowed to services: docs/access.md.
class NarrowedTokenTest: public CppUnit::TestFixture, private AccessFixture
{
    CPPUNIT_TEST_SUITE(NarrowedTokenTest);
    CPPUNIT_TEST(testANarrowedTokenSeesItsServicesOnly);
    CPPUNIT_TEST(testANarrowedListIsPagedRight);
    CPPUNIT_TEST(testANarrowedTokenIsToldOfItsServicesOnly);
    CPPUNIT_TEST_SUITE_END();

public:
    void testANarrowedTokenSeesItsServicesOnly()
    {
        _daemon.writeService("payment", service("payment"));
        _daemon.writeService("shop", service("shop"));
        _daemon.start();
        const std::string mine = narrowed("mine", "operate", "pay*");
        const std::string own = started(mine, "payment");
        const std::string other = started(admin(), "shop");
        const std::string inlined = inlineRun(admin());
        for (const auto& run : {own, other, inlined})
            awaitSuccess(admin(), run);

        const std::string ownStage = stageOf(own);
        for (const auto& path :
             {"/api/runs/" + own, "/api/runs/" + own + "/history", "/api/stages/" + ownStage,
              "/api/stages/" + ownStage + "/log", "/api/stages/" + ownStage + "/history",
              "/api/logs?stageId=" + ownStage, std::string("/api/services/payment")})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, 200, as(mine, "GET", path).status);
        for (const auto& run : {other, inlined})
        {
            const std::string stage = stageOf(run);
            for (const auto& [method, path] : std::vector<std::pair<std::string, std::string>>{
                     {"GET", "/api/runs/" + run},
                     {"GET", "/api/runs/" + run + "/history"},
                     {"DELETE", "/api/runs/" + run},
                     {"POST", "/api/runs/" + run + "/stop"},
                     {"POST", "/api/runs/" + run + "/rerun"},
                     {"POST", "/api/runs/" + run + "/approve-deployment"},
                     {"GET", "/api/stages/" + stage},
                     {"GET", "/api/stages/" + stage + "/log"},
                     {"GET", "/api/stages/" + stage + "/history"},
                     {"GET", "/api/stages/" + stage + "/processes"},
                     {"DELETE", "/api/stages/" + stage},
                     {"GET", "/api/logs?stageId=" + stage},
                     {"GET", "/api/events?runId=" + run},
                     {"GET", "/api/events?stageId=" + stage}})
            {
                const Answer answer = as(mine, method, path);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(method + " " + path + answer.body, 404, answer.status);
            }
            CPPUNIT_ASSERT_EQUAL(404,
                                 as(mine, "PATCH", "/api/runs/" + run, R"({"priority":1})").status);
            CPPUNIT_ASSERT_EQUAL(
                404, as(mine, "PATCH", "/api/stages/" + stage, R"({"status":"IDLE"})").status);
            CPPUNIT_ASSERT_EQUAL(std::string("[]"),
                                 as(mine, "GET", "/api/stages?runId=" + run).body);
            CPPUNIT_ASSERT_EQUAL(400, as(mine, "GET", "/api/runs?before=" + run).status);
        }
        CPPUNIT_ASSERT_EQUAL(404, as(mine, "GET", "/api/services/shop").status);
        CPPUNIT_ASSERT_EQUAL(404, as(mine, "POST", "/api/runs", R"({"service":"shop"})").status);
        CPPUNIT_ASSERT_EQUAL(
            std::string("token_narrowed"),
            codeOf(as(mine, "POST", "/api/runs",
                      R"({"pipeline":{"stages":)" + listOf({shell("true")}) + "}}")));
        for (const char* path : {"/api/agent/drain", "/api/agent/resume"})
            CPPUNIT_ASSERT_EQUAL(std::string("token_narrowed"), codeOf(as(mine, "POST", path)));
        const auto services = as(mine, "GET", "/api/services").json();
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType(1), services.Size());
        const auto agent = as(mine, "GET", "/api/agent").json();
        CPPUNIT_ASSERT(agent.HasMember("version") && !agent.HasMember("queueLength"));
        const std::string metrics = as(mine, "GET", "/metrics").body;
        CPPUNIT_ASSERT(metrics.find("stage_agent_stages_stuck 0") != std::string::npos);
        CPPUNIT_ASSERT(metrics.find("stage_agent_slots") == std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), as(mine, "GET", "/api/stuck").body);

        // The key of another's run must not give it away.
        const auto withKey = [&](const std::string& secret, const std::string& body)
        {
            return _daemon.request(
                "POST", "/api/runs", body,
                {{"Authorization", "Bearer " + secret}, {"Idempotency-Key", "k"}});
        };
        CPPUNIT_ASSERT_EQUAL(201, withKey(admin(), R"({"service":"shop"})").status);
        CPPUNIT_ASSERT_EQUAL(404, withKey(mine, R"({"service":"shop"})").status);
    }

    void testANarrowedListIsPagedRight()
    {
        for (const char* name : {"a1", "a2", "a3", "b1"})
            _daemon.writeService(name, service(name));
        _daemon.start();
        const std::string mine = narrowed("mine", "read", "a*");
        std::vector<std::string> wanted;
        for (int i = 0; i < 40; ++i)
        {
            const std::string name = i % 4 == 3 ? "b1" : "a" + std::to_string(i % 4 + 1);
            const std::string run = started(admin(), name);
            if (name != "b1")
                wanted.insert(wanted.begin(), run);
        }
        for (const char* limit : {"1", "7", "29", "30", "1000"})
        {
            std::vector<std::string> found;
            std::string path = std::string("/api/runs?limit=") + limit;
            while (!path.empty())
            {
                const Answer page = as(mine, "GET", path);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(page.body, 200, page.status);
                const auto runs = page.json();
                for (const auto& run : runs.GetArray())
                    found.emplace_back(run["id"].GetString());
                const auto link = page.headers.find("link");
                path = link == page.headers.end()
                           ? ""
                           : link->second.substr(1, link->second.find('>') - 1);
            }
            CPPUNIT_ASSERT_MESSAGE(limit, found == wanted);
        }
        const auto ofOther = as(mine, "GET", "/api/runs?serviceId=b1");
        CPPUNIT_ASSERT_EQUAL(400, ofOther.status);
        const auto nobody = narrowed("nobody", "read", "z*");
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), as(nobody, "GET", "/api/runs").body);
    }

    void testANarrowedTokenIsToldOfItsServicesOnly()
    {
        _daemon.writeService("payment", service("payment"));
        _daemon.writeService("shop", service("shop"));
        _daemon.start();
        const std::string mine = narrowed("mine", "read", "payment");
        StreamClient events(_daemon.url(), "/api/events", bearer(mine));
        const std::string other = started(admin(), "shop");
        awaitSuccess(admin(), other);
        as(admin(), "DELETE", "/api/runs/" + other);
        const std::string own = started(admin(), "payment");
        awaitSuccess(admin(), own);
        as(admin(), "DELETE", "/api/runs/" + own);
        const std::string told = events.untilText("event: deleted");
        CPPUNIT_ASSERT(told.find(own) != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(told, told.find(other) == std::string::npos);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(NarrowedTokenTest);
