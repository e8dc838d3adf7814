#include "tests/support/AccessFixture.h"
#include "tests/support/Targets.h"

#include <Poco/Base64Decoder.h>
#include <Poco/Base64Encoder.h>
#include <Poco/HMACEngine.h>
#include <Poco/SHA2Engine.h>
#include <Poco/StreamCopier.h>

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <future>
#include <set>
#include <sstream>

using agent::test::AccessFixture;
using agent::test::Answer;
using agent::test::complete;
using agent::test::contains;
using agent::test::ended;
using agent::test::eventOf;
using agent::test::listOf;
using agent::test::Received;
using agent::test::Receiver;
using agent::test::shell;
using agent::test::takenBy;
using agent::test::waitFor;
using agent::test::writeTarget;

/// Reports to those who want them: docs/outbox.md.
class OutboxTest: public CppUnit::TestFixture, private AccessFixture
{
    CPPUNIT_TEST_SUITE(OutboxTest);
    CPPUNIT_TEST(testEachChangeOfARunIsReported);
    CPPUNIT_TEST(testAReportIsACloudEventWithTheApisOwnObjects);
    CPPUNIT_TEST(testReportsAreSigned);
    CPPUNIT_TEST(testATargetGetsTheEventsAndServicesThatItAskedFor);
    CPPUNIT_TEST(testNothingIsWrittenWithoutATarget);
    CPPUNIT_TEST(testReportsWaitForATargetThatIsDownOverKillsAndRestarts);
    CPPUNIT_TEST(testASlowTargetHoldsUpNoOther);
    CPPUNIT_TEST(testAReportThatIsRefusedForGoodIsDropped);
    CPPUNIT_TEST(testSecretsAreInNoReport);
    CPPUNIT_TEST_SUITE_END();

public:
    void testEachChangeOfARunIsReported()
    {
        Receiver receiver;
        writeTarget(_daemon, "all", receiver.url());
        _daemon.start();
        const std::string run = _daemon.submit(
            listOf({shell("true"), R"({"type":"DEPLOY_PROD","plugin":"shell",)"
                                   R"("with":{"command":"exit 3"},"approval":"required"})"}));
        _daemon.waitForRun(run, "AWAITING_APPROVAL");
        _daemon.post("/api/runs/" + run + "/approve-deployment");
        _daemon.waitForRun(run, "FAILURE");
        std::vector<std::string> changes;
        waitFor("the last report",
                [&]
                {
                    changes = changesIn(receiver);
                    return !changes.empty() && changes.back() == "run FAILURE";
                });
        // The run's own status follows its stages.
        const std::vector<std::string> expected{
            "run IDLE",           "run IN_PROGRESS",          "BUILD IN_PROGRESS",
            "BUILD SUCCESS",      "DEPLOY AWAITING_APPROVAL", "run AWAITING_APPROVAL",
            "DEPLOY IN_PROGRESS", "run IN_PROGRESS",          "DEPLOY FAILURE",
            "run FAILURE"};
        CPPUNIT_ASSERT_EQUAL(sorted(expected), sorted(changes));
        CPPUNIT_ASSERT_EQUAL(std::string("run IDLE"), changes.front());
        const auto before = [&](const char* one, const char* other)
        {
            return std::find(changes.begin(), changes.end(), one) <
                   std::find(changes.begin(), changes.end(), other);
        };
        CPPUNIT_ASSERT(before("BUILD IN_PROGRESS", "BUILD SUCCESS"));
        CPPUNIT_ASSERT(before("BUILD SUCCESS", "DEPLOY AWAITING_APPROVAL"));
        CPPUNIT_ASSERT(before("DEPLOY AWAITING_APPROVAL", "DEPLOY IN_PROGRESS"));
        const auto all = receiver.all();
        CPPUNIT_ASSERT(complete(takenBy(all), all));
        // A correction is a change too.
        _daemon.patch("/api/runs/" + run, R"({"committer":"Ada"})");
        waitFor("the correction",
                [&]
                {
                    const auto event = eventOf(receiver.all().back());
                    return event["type"] == "run.changed" &&
                           event["data"]["run"]["committer"] == "Ada";
                });
        waitFor("an empty outbox",
                [&] { return _daemon.get("/api/outbox").json()["reports"].Empty(); });
    }

    void testAReportIsACloudEventWithTheApisOwnObjects()
    {
        Receiver receiver;
        writeTarget(_daemon, "all", receiver.url());
        _daemon.set("http.public_url", "https://ci.example.org/agent/");
        _daemon.writeService("payment", service("payment", "exit 7"));
        _daemon.start();
        const Answer made = _daemon.post("/api/runs", R"({"service":"payment","branch":"main"})");
        const std::string run = made.json()["id"].GetString();
        const Received last = ended(receiver, run);
        const auto event = eventOf(last);
        CPPUNIT_ASSERT_EQUAL(std::string("1.0"), std::string(event["specversion"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("run.ended"), std::string(event["type"].GetString()));
        CPPUNIT_ASSERT_EQUAL(run, std::string(event["subject"].GetString()));
        CPPUNIT_ASSERT(std::string(event["source"].GetString()).starts_with("/stage-agent/"));
        CPPUNIT_ASSERT(event["data"]["stage"].IsNull() && event["data"]["logUrl"].IsNull());
        // The run as the API has it, but for what changes without a change of the run.
        auto shown = _daemon.get("/api/runs/" + run).json();
        shown.RemoveMember("waitingFor");
        shown.RemoveMember("currentStage");
        CPPUNIT_ASSERT(shown == event["data"]["run"]);
        CPPUNIT_ASSERT_EQUAL(std::string("BUILD"),
                             std::string(shown["failedStage"]["name"].GetString()));

        const std::string stage = _daemon.stagesOf(run).front();
        bool seen = false;
        for (const auto& one : receiver.all())
        {
            const auto each = eventOf(one);
            if (each["type"] != "stage.changed")
                continue;
            CPPUNIT_ASSERT_EQUAL("https://ci.example.org/agent/api/stages/" + stage + "/log",
                                 std::string(each["data"]["logUrl"].GetString()));
            CPPUNIT_ASSERT_EQUAL(run, std::string(each["data"]["run"]["id"].GetString()));
            const auto& told = each["data"]["stage"];
            // Each tells the state of its time.
            CPPUNIT_ASSERT_EQUAL(told["status"] == "FAILURE", !told["endedAt"].IsNull());
            if (told["status"] != "FAILURE")
                continue;
            seen = true;
            CPPUNIT_ASSERT_EQUAL(7, told["exitCode"].GetInt());
            CPPUNIT_ASSERT_EQUAL(std::string("EXIT"), std::string(told["cause"].GetString()));
            CPPUNIT_ASSERT_EQUAL(std::string("agent"),
                                 std::string(each["data"]["actor"].GetString()));
        }
        CPPUNIT_ASSERT(seen);
    }

    void testReportsAreSigned()
    {
        Receiver receiver;
        const std::string key(32, 'k');
        std::ostringstream encoded;
        Poco::Base64Encoder encoder(encoded);
        encoder << key;
        encoder.close();
        _daemon.writeSecret("SIGN", "whsec_" + encoded.str() + "\n");
        _daemon.writeSecret("TOKEN", "letmein-please\n");
        writeTarget(_daemon, "signed", receiver.url(), "secret: SIGN\ntoken: TOKEN\n");
        _daemon.start();
        ended(receiver, _daemon.submit(listOf({shell("true")})));
        for (const auto& one : receiver.all())
        {
            CPPUNIT_ASSERT_EQUAL(std::string("Bearer letmein-please"),
                                 one.headers.at("authorization"));
            Sha256Mac mac(key);
            mac.update(one.headers.at("webhook-id") + "." + one.headers.at("webhook-timestamp") +
                       "." + one.body);
            const auto digest = mac.digest();
            std::istringstream signature(one.headers.at("webhook-signature").substr(3));
            Poco::Base64Decoder decoder(signature);
            std::string given;
            Poco::StreamCopier::copyToString(decoder, given);
            CPPUNIT_ASSERT(std::string(digest.begin(), digest.end()) == given);
        }
        const std::string output = _daemon.output() + _daemon.get("/api/outbox").body;
        CPPUNIT_ASSERT(output.find("letmein") == std::string::npos);
    }

    void testATargetGetsTheEventsAndServicesThatItAskedFor()
    {
        Receiver some;
        Receiver all;
        writeTarget(_daemon, "some", some.url(), "services: [pay*]\nevents: [run.ended]\n");
        writeTarget(_daemon, "all", all.url());
        _daemon.writeService("payment", service("payment"));
        _daemon.writeService("shop", service("shop"));
        _daemon.start();
        const std::string shop = _daemon.submitService("shop");
        const std::string inlined = _daemon.submit(listOf({shell("true")}));
        const std::string payment = _daemon.submitService("payment");
        for (const auto& run : {shop, inlined, payment})
            ended(all, run);
        ended(some, payment);
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), some.all().size());
    }

    void testNothingIsWrittenWithoutATarget()
    {
        _daemon.start();
        const std::string run = _daemon.submit(listOf({shell("true")}));
        _daemon.waitForRun(run, "SUCCESS");
        const auto outbox = _daemon.get("/api/outbox").json();
        CPPUNIT_ASSERT(outbox["reports"].Empty() && outbox["targets"].Empty());
        CPPUNIT_ASSERT(_daemon.get("/metrics").body.find("outbox") == std::string::npos);
        // The first number of a report is given when the first one is written.
        Receiver receiver;
        _daemon.stop();
        writeTarget(_daemon, "all", receiver.url());
        _daemon.start();
        _daemon.patch("/api/runs/" + run, R"({"committer":"Ada"})");
        waitFor("the correction", [&] { return !receiver.all().empty(); });
        CPPUNIT_ASSERT_EQUAL(std::string("1"),
                             std::string(eventOf(receiver.all().front())["sequence"].GetString()));
    }

    void testReportsWaitForATargetThatIsDownOverKillsAndRestarts()
    {
        std::atomic<bool> down = true;
        Receiver receiver([&](const Received&) { return down ? Receiver::hangUp : 204; });
        writeTarget(_daemon, "all", receiver.url());
        _daemon.start();
        std::vector<std::string> runs;
        for (int i = 0; i < 3; ++i)
        {
            runs.push_back(_daemon.submit(listOf({shell("true")})));
            _daemon.waitForRun(runs.back(), "SUCCESS");
            _daemon.kill();
            _daemon.start();
        }
        const auto outbox = _daemon.get("/api/outbox").json();
        CPPUNIT_ASSERT_EQUAL(std::size_t(15), std::size_t(outbox["reports"].Size()));
        down = false;
        for (const auto& run : runs)
            ended(receiver, run);
        const auto all = receiver.taken();
        const auto taken = takenBy(all);
        CPPUNIT_ASSERT_EQUAL(std::size_t(3), taken.size());
        CPPUNIT_ASSERT(complete(taken, all));
        waitFor("the word that all is well",
                [&] { return _daemon.output().find("takes reports again") != std::string::npos; });
        // What was confirmed is not sent again by the next daemon.
        waitFor("an empty outbox",
                [&] { return _daemon.get("/api/outbox").json()["reports"].Empty(); });
    }

    void testASlowTargetHoldsUpNoOther()
    {
        std::promise<void> opened;
        const auto gate = opened.get_future().share();
        Receiver slow(
            [&](const Received&)
            {
                gate.wait();
                return 204;
            });
        Receiver fast;
        writeTarget(_daemon, "a-slow", slow.url());
        writeTarget(_daemon, "fast", fast.url());
        _daemon.start();
        const std::string run = _daemon.submit(listOf({shell("true")}));
        ended(fast, run);
        CPPUNIT_ASSERT(slow.taken().empty());
        // Nor does it keep the agent from ending.
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        opened.set_value();
        _daemon.start();
        ended(slow, run);
        CPPUNIT_ASSERT(complete(takenBy(slow.taken()), slow.taken()));
    }

    void testAReportThatIsRefusedForGoodIsDropped()
    {
        Receiver receiver(
            [](const Received& one)
            { return one.body.find("\"stage.changed\"") != std::string::npos ? 422 : 204; });
        writeTarget(_daemon, "picky", receiver.url());
        _daemon.start();
        const std::string run = _daemon.submit(listOf({shell("true")}));
        ended(receiver, run);
        CPPUNIT_ASSERT_EQUAL(std::size_t(3), receiver.taken().size());
        CPPUNIT_ASSERT_EQUAL(std::size_t(5), receiver.all().size());
        CPPUNIT_ASSERT(_daemon.output().find("picky refuses a report of run " + run) !=
                       std::string::npos);
        waitFor("the counts",
                [&]
                {
                    const std::string metrics = _daemon.get("/metrics").body;
                    return contains(metrics, "stage_agent_outbox_sent_total{target=\"picky\"} 3") &&
                           contains(metrics,
                                    "stage_agent_outbox_dropped_total{target=\"picky\"} 2") &&
                           contains(metrics, "stage_agent_outbox_waiting{target=\"picky\"} 0");
                });
    }

    void testSecretsAreInNoReport()
    {
        Receiver receiver;
        writeTarget(_daemon, "t", receiver.url());
        _daemon.writeSecret("DEPLOY_KEY", "s3cret-value-of-the-test\n");
        _daemon.writeService("payment", "name: payment\nsecrets: [DEPLOY_KEY]\nstages:\n"
                                        "  - { type: BUILD, plugin: shell, with: { command: "
                                        "'sleep 977' } }\n");
        _daemon.start();
        const std::string run = _daemon.submitService("payment");
        const std::string stage = _daemon.stagesOf(run).front();
        _daemon.waitForStage(stage, "IN_PROGRESS");
        CPPUNIT_ASSERT_EQUAL(
            200, _daemon
                     .patch("/api/stages/" + stage,
                            R"({"status":"FAILURE","reason":"s3cret-value-of-the-test leaked"})")
                     .status);
        ended(receiver, run);
        bool told = false;
        for (const auto& one : receiver.all())
        {
            CPPUNIT_ASSERT(!contains(one.body, "s3cret-value"));
            told = told || contains(one.body, " leaked");
        }
        CPPUNIT_ASSERT(told);
    }

private:
    class Mac256: public Poco::SHA2Engine
    {
    public:
        enum
        {
            BLOCK_SIZE = 64,
            DIGEST_SIZE = 32
        };
        Mac256() : Poco::SHA2Engine(SHA_256) {}
    };
    using Sha256Mac = Poco::HMACEngine<Mac256>;

    /// `run IDLE`, `BUILD SUCCESS` …
    static std::vector<std::string> changesIn(const Receiver& receiver)
    {
        std::vector<std::string> changes;
        for (const auto& one : receiver.taken())
        {
            const auto event = eventOf(one);
            const auto& data = event["data"];
            const bool ofRun = data["stage"].IsNull();
            const std::string what =
                ofRun ? "run" : std::string(data["stage"]["type"].GetString()).substr(0, 6);
            changes.push_back((what == "BUILD" ? "BUILD" : what) + " " +
                              (ofRun ? data["run"] : data["stage"])["status"].GetString());
        }
        return changes;
    }

    static std::string sorted(std::vector<std::string> texts)
    {
        std::sort(texts.begin(), texts.end());
        std::string all;
        for (const auto& text : texts)
            all += text + "\n";
        return all;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OutboxTest);
