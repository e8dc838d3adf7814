// The event stream: what is reported, in which order, and that a client which comes back misses nothing.
#include "tests/support/Daemon.h"
#include "tests/support/StreamClient.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <fstream>
#include <memory>

using agent::test::Daemon;
using agent::test::StreamClient;
using agent::test::StreamEvent;

class EventsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(EventsTest);
    CPPUNIT_TEST(testReportsHowThingsStandFirst);
    CPPUNIT_TEST(testReportsARunFromSubmitToEnd);
    CPPUNIT_TEST(testFilterByStageReportsItsLinesBeforeItsEnd);
    CPPUNIT_TEST(testRunWithLogsReportsAllStagesInOrder);
    CPPUNIT_TEST(testResumesWhereItWas);
    CPPUNIT_TEST(testResumesOverKillOfTheDaemonWithoutLossOrDouble);
    CPPUNIT_TEST(testClientWithoutAnEventComesBackToItsPlace);
    CPPUNIT_TEST(testAnUnknownIdIsToldByAGap);
    CPPUNIT_TEST(testReportsDeletions);
    CPPUNIT_TEST(testReportsACorrectedRun);
    CPPUNIT_TEST(testUnknownEventIdGetsTheWholePicture);
    CPPUNIT_TEST(testBeginsBehindALine);
    CPPUNIT_TEST(testRefusesWrongFilters);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.start(); }

    void testReportsHowThingsStandFirst()
    {
        const auto run = submit({"true", "true"});
        _daemon.waitForRun(run, "SUCCESS");
        StreamClient client(_daemon.url(), "/api/events?runId=" + run);
        CPPUNIT_ASSERT_EQUAL(200, client.status);
        CPPUNIT_ASSERT(client.head.find("Content-Type: text/event-stream\r\n") !=
                       std::string::npos);
        int count = 0;
        const auto events = client.events([&](const auto&) { return ++count == 3; });
        CPPUNIT_ASSERT_EQUAL(std::string("run"), events[0].name);
        CPPUNIT_ASSERT_EQUAL(_daemon.get("/api/runs/" + run).body, events[0].data);
        CPPUNIT_ASSERT_EQUAL(std::string("stage"), events[2].name);
        const auto stage = parsed(events[2]);
        CPPUNIT_ASSERT_EQUAL(14, static_cast<int>(stage.MemberCount()));
        CPPUNIT_ASSERT_EQUAL(std::string("EXIT"), std::string(stage["cause"].GetString()));
    }

    void testReportsARunFromSubmitToEnd()
    {
        StreamClient client(_daemon.url(), "/api/events");
        const auto run = submit({"sleep 0.2"});
        const auto events = client.events(ended(run));
        std::vector<std::string> states;
        for (const auto& event : events)
        {
            const std::string state = event.name + " " + parsed(event)["status"].GetString();
            if (states.empty() || states.back() != state)
                states.push_back(state);
        }
        const std::vector<std::string> expected{"stage IN_PROGRESS", "run IN_PROGRESS"};
        for (const auto& state : expected)
            CPPUNIT_ASSERT_MESSAGE(state,
                                   std::find(states.begin(), states.end(), state) != states.end());
        CPPUNIT_ASSERT_EQUAL(std::string("run SUCCESS"), states.back());
    }

    void testFilterByStageReportsItsLinesBeforeItsEnd()
    {
        // A stage that has ended already would only be reported, without its lines.
        const auto go = _daemon.folder() / "go";
        const auto run = submit(
            {"until [ -e " + go.string() + " ]; do sleep 0.02; done; " + lines(500), "echo other"});
        const auto id = _daemon.stagesOf(run)[0];
        StreamClient client(_daemon.url(), "/api/events?stageId=" + id);
        std::ofstream(go).put('.');
        const auto events =
            client.events([](const auto& event)
                          { return event.name == "stage" && statusOf(event) == "SUCCESS"; });
        CPPUNIT_ASSERT_EQUAL(numbers(500), messages(events));
        for (const auto& event : events)
            CPPUNIT_ASSERT(event.name != "run");
    }

    void testBeginsBehindALine()
    {
        const auto run = submit({lines(500)});
        const auto id = _daemon.stagesOf(run)[0];
        _daemon.waitForRun(run, "SUCCESS");
        StreamClient client(_daemon.url(), "/api/events?after=1.497&stageId=" + id);
        const auto events = client.events(
            [](const auto& event)
            { return event.name == "log" && event.data.find("\"1.500\"") != event.data.npos; });
        CPPUNIT_ASSERT_EQUAL(std::string("498 499 500 "), messages(events));
        for (const char* wrong : {"/api/events?after=1.1",
                                  "/api/events?after=2.1&stageId=", "/api/events?after=x&stageId="})
        {
            const std::string path = wrong;
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                path, 400, _daemon.get(path.ends_with('=') ? path + id : path).status);
        }
    }

    void testRunWithLogsReportsAllStagesInOrder()
    {
        const auto run = submit({lines(50), "echo second", "echo third"});
        StreamClient client(_daemon.url(), "/api/events?runId=" + run);
        StreamClient without(_daemon.url(), "/api/events?logs=0&runId=" + run);
        const auto events = client.events(ended(run));
        CPPUNIT_ASSERT_EQUAL(numbers(50) + "second third ", messages(events));
        CPPUNIT_ASSERT_EQUAL(std::string(), messages(without.events(ended(run))));
    }

    void testResumesWhereItWas()
    {
        const auto run = submit({lines(300) + "; sleep 0.3; " + lines(300), "echo after"});
        const std::string target = "/api/events?logs=1&runId=" + run;
        const std::string query = "&lastEventId=";
        std::string reported;
        std::string id;
        bool over = false;
        for (int connection = 0; !over; ++connection)
        {
            CPPUNIT_ASSERT(connection < 100);
            // By the header as a browser does, and by the query as one that can't set it.
            const bool byHeader = connection % 2 == 0;
            std::string header;
            if (byHeader && !id.empty())
                header.append("Last-Event-ID: ").append(id).append("\r\n");
            StreamClient client(_daemon.url(),
                                byHeader ? target : std::string(target).append(query).append(id),
                                header);
            int count = 0;
            const auto isEnd = ended(run);
            const auto events = client.events(
                [&](const auto& event)
                {
                    over = over || isEnd(event);
                    return over || ++count == 37;
                });
            reported += messages(events);
            id = client.lastId();
        }
        CPPUNIT_ASSERT_EQUAL(numbers(300) + numbers(300) + "after ", reported);
    }

    void testResumesOverKillOfTheDaemonWithoutLossOrDouble()
    {
        const auto run =
            submit({"i=0; while test $i -lt 400; do i=$((i+1)); echo $i; sleep 0.005; done"});
        const auto stage = _daemon.stagesOf(run)[0];
        const std::string target = "/api/events?stageId=" + stage;
        auto client = std::make_unique<StreamClient>(_daemon.url(), target);
        std::string reported;
        const auto isEnd = [](const StreamEvent& event)
        { return event.name == "stage" && statusOf(event) == "SUCCESS"; };
        for (const char* until : {"50", "200"})
        {
            reported += messages(
                client->events([&](const auto& event)
                               { return event.name == "log" && messageOf(event) == until; }));
            const std::string id = client->lastId();
            _daemon.kill();
            _daemon.start();
            client = std::make_unique<StreamClient>(_daemon.url(), target,
                                                    "Last-Event-ID: " + id + "\r\n");
        }
        reported += messages(client->events(isEnd));
        CPPUNIT_ASSERT_EQUAL(numbers(400), reported);
    }

    void testClientWithoutAnEventComesBackToItsPlace()
    {
        std::string id;
        {
            StreamClient client(_daemon.url(), "/api/events");
            id = client.untilText("id: h");
            id = id.substr(id.find("id: h") + 4);
            id = id.substr(0, id.find('\n'));
        }
        const auto run = submit({"true"});
        _daemon.waitForRun(run, "SUCCESS");
        StreamClient client(_daemon.url(), "/api/events", "Last-Event-ID: " + id + "\r\n");
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), client.events(ended(run)).size());
    }

    /// Symptom: whoever came back with an id of another record began anew, and did not know of it.
    void testAnUnknownIdIsToldByAGap()
    {
        const auto any = [](const auto&) { return true; };
        for (const std::string id : {"h999999999", "x", "12"})
        {
            StreamClient client(_daemon.url(), "/api/events", "Last-Event-ID: " + id + "\r\n");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(id, std::string("gap"), client.events(any)[0].name);
        }
        StreamClient fresh(_daemon.url(), "/api/events");
        const auto run = submit({"true"});
        // Of several changes of the run the last is told, so its stage may come first.
        const auto events = fresh.events(ended(run));
        CPPUNIT_ASSERT_EQUAL(std::string("run"), events.back().name);
        for (const auto& event : events)
            CPPUNIT_ASSERT(event.name == "run" || event.name == "stage");
    }

    void testReportsDeletions()
    {
        const auto run = submit({"true", "true"});
        _daemon.waitForRun(run, "SUCCESS");
        const auto stage = _daemon.stagesOf(run)[1];
        StreamClient ofStage(_daemon.url(), "/api/events?stageId=" + stage);
        StreamClient ofRun(_daemon.url(), "/api/events?runId=" + run);
        const auto deleted = [](const auto& event) { return event.name == "deleted"; };
        _daemon.request("DELETE", "/api/stages/" + stage);
        CPPUNIT_ASSERT_EQUAL(
            stage, std::string(parsed(ofStage.events(deleted).back())["stageId"].GetString()));
        ofRun.events(deleted);
        _daemon.request("DELETE", "/api/runs/" + run);
        const auto last = parsed(ofRun.events(deleted).back());
        CPPUNIT_ASSERT_EQUAL(run, std::string(last["runId"].GetString()));
        CPPUNIT_ASSERT(last["stageId"].IsNull());
    }

    void testReportsACorrectedRun()
    {
        const auto run = submit({"true"});
        _daemon.waitForRun(run, "SUCCESS");
        StreamClient client(_daemon.url(), "/api/events?runId=" + run);
        client.events([](const auto& event) { return event.name == "stage"; });
        _daemon.patch("/api/runs/" + run, R"({"committer":"Ada"})");
        const auto events = client.events([](const auto& event) { return event.name == "run"; });
        CPPUNIT_ASSERT_EQUAL(std::string("Ada"),
                             std::string(parsed(events.back())["committer"].GetString()));
    }

    void testUnknownEventIdGetsTheWholePicture()
    {
        const auto run = submit({"true"});
        for (const std::string id : {"nonsense", "h1.2", "h999999999", "h-1", "h1.0.0.0"})
        {
            StreamClient client(_daemon.url(), "/api/events?runId=" + run,
                                "Last-Event-ID: " + id + "\r\n");
            const auto events =
                client.events([](const auto& event) { return event.name != "gap"; });
            CPPUNIT_ASSERT_EQUAL(std::size_t{2}, events.size());
            CPPUNIT_ASSERT_EQUAL(std::string("gap"), events[0].name);
            CPPUNIT_ASSERT_EQUAL(std::string("run"), events[1].name);
        }
    }

    void testRefusesWrongFilters()
    {
        const auto run = submit({"true"});
        const auto stage = _daemon.stagesOf(run)[0];
        const auto other = submit({"true"});
        std::string both = "runId=";
        both.append(other).append("&stageId=").append(stage);
        for (const std::string& query : {std::string("runId=x"), std::string("stageId=x"),
                                         std::string("logs=1"), "logs=2&runId=" + run, both})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(query, 400, _daemon.get("/api/events?" + query).status);
        const std::string unknown = "3f2b8d0c-58a5-4a53-9f0a-1c2d3e4f5a6b";
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get("/api/events?runId=" + unknown).status);
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get("/api/events?stageId=" + unknown).status);
    }

private:
    std::string submit(const std::vector<std::string>& commands) const
    {
        std::string stages;
        for (const auto& command : commands)
            stages +=
                (stages.empty() ? "[" : ",") +
                (R"({"type":"OTHER","plugin":"shell","with":{"command":")" + command + "\"}}");
        return _daemon.submit(stages + "]");
    }

    static std::string lines(int count)
    {
        return "i=0; while test $i -lt " + std::to_string(count) + "; do i=$((i+1)); echo $i; done";
    }

    static std::string numbers(int count)
    {
        std::string text;
        for (int i = 1; i <= count; ++i)
            text += std::to_string(i) + " ";
        return text;
    }

    static rapidjson::Document parsed(const StreamEvent& event)
    {
        rapidjson::Document document;
        document.Parse(event.data);
        CPPUNIT_ASSERT_MESSAGE("no JSON: " + event.data, !document.HasParseError());
        return document;
    }

    static std::string statusOf(const StreamEvent& event)
    {
        return parsed(event)["status"].GetString();
    }

    static std::string messageOf(const StreamEvent& event)
    {
        return parsed(event)["message"].GetString();
    }

    /// What the log events say, each with a blank behind it.
    static std::string messages(const std::vector<StreamEvent>& events)
    {
        std::string text;
        for (const auto& event : events)
            if (event.name == "log")
                text += messageOf(event) + " ";
        return text;
    }

    /// The event that tells the end of the run.
    static std::function<bool(const StreamEvent&)> ended(const std::string& run)
    {
        return [run](const StreamEvent& event)
        {
            return event.name == "run" && event.data.find("\"id\":\"" + run) != std::string::npos &&
                   (statusOf(event) == "SUCCESS" || statusOf(event) == "FAILURE");
        };
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(EventsTest);
