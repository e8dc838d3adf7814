// Targets of reports as operators see and change them: GET /api/outbox and the files of outbox.d/.
#include "tests/support/AccessFixture.h"
#include "tests/support/Targets.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <csignal>
#include <filesystem>

using agent::test::AccessFixture;
using agent::test::Answer;
using agent::test::contains;
using agent::test::ended;
using agent::test::listOf;
using agent::test::Received;
using agent::test::Receiver;
using agent::test::reload;
using agent::test::shell;
using agent::test::waitFor;
using agent::test::writeTarget;

class OutboxApiTest: public CppUnit::TestFixture, private AccessFixture
{
    CPPUNIT_TEST_SUITE(OutboxApiTest);
    CPPUNIT_TEST(testATargetThatIsGoneGetsNoMore);
    CPPUNIT_TEST(testTargetsComeAndGoWithAReload);
    CPPUNIT_TEST(testWhatWaitsIsListedRetriedAndDropped);
    CPPUNIT_TEST(testWhoMayWhat);
    CPPUNIT_TEST(testCheckTellsMistakesOfTargets);
    CPPUNIT_TEST_SUITE_END();

public:
    void testATargetThatIsGoneGetsNoMore()
    {
        Receiver receiver([](const Received&) { return 410; });
        writeTarget(_daemon, "gone", receiver.url());
        _daemon.start();
        const auto state = [&] {
            return std::string(
                _daemon.get("/api/outbox").json()["targets"][0]["state"].GetString());
        };
        _daemon.waitForRun(_daemon.submit(listOf({shell("true")})), "SUCCESS");
        waitFor("its end", [&] { return state() == "ended"; });
        _daemon.waitForRun(_daemon.submit(listOf({shell("true")})), "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), receiver.all().size());
        CPPUNIT_ASSERT(_daemon.get("/api/outbox").json()["reports"].Empty());
        // An operator may try again.
        _daemon.signal(SIGHUP);
        waitFor("the reload", [&] { return state() == "ok"; });
        _daemon.submit(listOf({shell("true")}));
        waitFor("another report", [&] { return receiver.all().size() == 2; });
    }

    void testTargetsComeAndGoWithAReload()
    {
        Receiver one;
        Receiver two;
        _daemon.set("outbox.dir", (_daemon.folder() / "outbox.d").string());
        std::filesystem::create_directories(_daemon.folder() / "outbox.d");
        _daemon.start();
        writeTarget(_daemon, "t", one.url());
        reload(_daemon);
        ended(one, _daemon.submit(listOf({shell("true")})));
        // A mistake keeps what was.
        writeTarget(_daemon, "t", "ftp://nowhere");
        reload(_daemon);
        CPPUNIT_ASSERT(contains(_daemon.output(), "t.yaml:3: url: "));
        const std::string second = _daemon.submit(listOf({shell("true")}));
        ended(one, second);
        writeTarget(_daemon, "t", two.url());
        reload(_daemon);
        const std::string third = _daemon.submit(listOf({shell("true")}));
        ended(two, third);
        std::filesystem::remove(_daemon.folder() / "outbox.d/t.yaml");
        reload(_daemon);
        _daemon.waitForRun(_daemon.submit(listOf({shell("true")})), "SUCCESS");
        CPPUNIT_ASSERT(_daemon.get("/api/outbox").json()["targets"].Empty());
        CPPUNIT_ASSERT_EQUAL(std::size_t(10), one.all().size());
    }

    void testWhatWaitsIsListedRetriedAndDropped()
    {
        std::atomic<bool> down = true;
        Receiver receiver([&](const Received&) { return down ? 503 : 204; });
        receiver.headers["Retry-After"] = "3000";
        writeTarget(_daemon, "t", receiver.url("/reports?key=hidden"));
        _daemon.start();
        const std::string run = _daemon.submit(listOf({shell("true")}));
        _daemon.waitForRun(run, "SUCCESS");
        waitFor("a failure",
                [&]
                {
                    const auto targets = _daemon.get("/api/outbox").json();
                    return targets["targets"][0]["lastError"] == "HTTP 503" &&
                           targets["targets"][0]["waiting"].GetInt() == 5;
                });
        const Answer answer = _daemon.get("/api/outbox?limit=2");
        CPPUNIT_ASSERT(!contains(answer.body, "hidden"));
        const auto outbox = answer.json();
        const auto& target = outbox["targets"][0];
        CPPUNIT_ASSERT_EQUAL(std::string("failing"), std::string(target["state"].GetString()));
        CPPUNIT_ASSERT(target["nextAttemptAt"].IsString() && target["oldestAt"].IsString());
        CPPUNIT_ASSERT_EQUAL(2U, outbox["reports"].Size());
        const auto& first = outbox["reports"][0];
        CPPUNIT_ASSERT_EQUAL(run, std::string(first["runId"].GetString()));
        CPPUNIT_ASSERT_EQUAL(1, first["failures"].GetInt());
        CPPUNIT_ASSERT_EQUAL(1, first["number"].GetInt());
        const std::string firstId = first["id"].GetString();
        const std::string secondId = outbox["reports"][1]["id"].GetString();
        CPPUNIT_ASSERT_EQUAL(secondId, std::string(_daemon.get("/api/outbox?after=" + firstId)
                                                       .json()["reports"][0]["id"]
                                                       .GetString()));
        CPPUNIT_ASSERT_EQUAL(400, _daemon.get("/api/outbox?limit=0").status);
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get("/api/outbox?after=" + run).status);

        // Dropped: the others go on without it. Retried: at once, whatever the target asked for.
        CPPUNIT_ASSERT_EQUAL(200, _daemon.request("DELETE", "/api/outbox/" + firstId).status);
        CPPUNIT_ASSERT_EQUAL(404, _daemon.request("DELETE", "/api/outbox/" + firstId).status);
        waitFor("the second", [&] { return receiver.all().size() == 2; });
        down = false;
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/outbox/" + secondId + "/retry").status);
        ended(receiver, run);
        CPPUNIT_ASSERT_EQUAL(std::size_t(4), receiver.taken().size());

        down = true;
        _daemon.submit(listOf({shell("true")}));
        waitFor("more", [&] { return !_daemon.get("/api/outbox").json()["reports"].Empty(); });
        std::filesystem::remove(_daemon.folder() / "outbox.d/t.yaml");
        reload(_daemon);
        const auto left = _daemon.get("/api/outbox").json();
        CPPUNIT_ASSERT_EQUAL(std::string("missing"),
                             std::string(left["targets"][0]["state"].GetString()));
        CPPUNIT_ASSERT_EQUAL(
            409,
            _daemon
                .post("/api/outbox/" + std::string(left["reports"][0]["id"].GetString()) + "/retry")
                .status);
    }

    void testWhoMayWhat()
    {
        Receiver receiver([](const Received&) { return 503; });
        writeTarget(_daemon, "t", receiver.url());
        _daemon.start();
        const std::string reads = token("reader", "read");
        const std::string runs = token("runner", "run");
        const std::string operates = token("operator", "operate");
        as(operates, "POST", "/api/runs",
           R"({"pipeline":{"stages":)" + listOf({shell("true")}) + "}}");
        const auto outbox = as(reads, "GET", "/api/outbox").json();
        const std::string id = outbox["reports"][0]["id"].GetString();
        CPPUNIT_ASSERT_EQUAL(403, as(runs, "POST", "/api/outbox/" + id + "/retry").status);
        CPPUNIT_ASSERT_EQUAL(403, as(runs, "DELETE", "/api/outbox/" + id).status);
        CPPUNIT_ASSERT_EQUAL(401, as("", "GET", "/api/outbox").status);
        CPPUNIT_ASSERT_EQUAL(200, as(operates, "DELETE", "/api/outbox/" + id).status);
    }

    void testCheckTellsMistakesOfTargets()
    {
        writeTarget(_daemon, "t", "gopher://x");
        std::string output;
        CPPUNIT_ASSERT_EQUAL(78, _daemon.runToEnd({"--check"}, output));
        CPPUNIT_ASSERT_MESSAGE(output, contains(output, "t.yaml:3: url: must be a URL"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OutboxApiTest);
