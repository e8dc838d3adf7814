// Which runs a list shows, and what it says of each: filters, why it failed, what it waits for.
#include "tests/support/Stages.h"
#include "tests/support/StreamClient.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

using agent::test::Daemon;
using agent::test::listOf;
using agent::test::shell;
using agent::test::waitFor;

class RunListTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RunListTest);
    CPPUNIT_TEST(testFiltersNarrowTheList);
    CPPUNIT_TEST(testFiltersArePaged);
    CPPUNIT_TEST(testRunsAreFoundByTheirLabels);
    CPPUNIT_TEST(testLabelsHaveRules);
    CPPUNIT_TEST(testAListSaysHowLongStagesRan);
    CPPUNIT_TEST(testAnUnknownParameterIsRefused);
    CPPUNIT_TEST(testARunSaysWhatFailedInIt);
    CPPUNIT_TEST(testARunSaysWhatItWaitsFor);
    CPPUNIT_TEST(testStagesAreListedInDetail);
    CPPUNIT_TEST(testAStuckStageIsToldByItsEvent);
    CPPUNIT_TEST_SUITE_END();

public:
    void testFiltersNarrowTheList()
    {
        _daemon.writeService("one", service("one", "true"));
        _daemon.writeService("two", service("two", "exit 1"));
        _daemon.start();
        const auto main = run(R"({"service":"one","branch":"main","commit":"abc123"})", "SUCCESS");
        const auto other =
            run(R"({"service":"one","branch":"feature/a+b","commit":"abd456"})", "SUCCESS");
        const auto failed = run(R"({"service":"two","branch":"main","commit":"ffff"})", "FAILURE");
        const std::string at = created(other);
        for (const auto& [query, wanted] :
             std::vector<std::pair<std::string, std::vector<std::string>>>{
                 {"branch=main", {failed, main}},
                 {"branch=feature/a%2Bb", {other}},
                 {"branch=none", {}},
                 {"commit=ab", {other, main}},
                 {"commit=abc123", {main}},
                 {"commit=abc1234", {}},
                 {"status=FAILURE,SUCCESS", {failed, other, main}},
                 {"status=SUCCESS,IDLE", {other, main}},
                 {"status=IDLE", {}},
                 {"branch=main&status=FAILURE", {failed}},
                 {"branch=main&status=FAILURE,SUCCESS&serviceId=one", {main}},
                 {"commit=ab&branch=main", {main}},
                 {"since=" + at, {failed, other}},
                 {"until=" + at, {main}},
                 {"since=" + at + "&status=SUCCESS", {other}},
                 {"since=2001-01-01T02:00:00%2B02:00&branch=main", {failed, main}},
                 {"until=2001-01-01T00:00:00Z", {}},
                 {"since=2999-01-01T00:00:00Z", {}}})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(query, joined(wanted), idsOf("/api/runs?" + query));
        for (const std::string query :
             {"branch=-x", "branch=", "commit=", "commit=a%20b", "status=", "status=GREEN",
              "status=SUCCESS,", "since=yesterday", "until=2001-01-01"})
        {
            const auto answer = _daemon.get("/api/runs?" + query);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(query + answer.body, 400, answer.status);
            CPPUNIT_ASSERT_EQUAL(query.substr(0, query.find('=')),
                                 std::string(answer.json()["error"]["field"].GetString()));
        }
    }

    void testFiltersArePaged()
    {
        _daemon.writeService("one", service("one", "true"));
        _daemon.start();
        std::vector<std::string> wanted;
        for (int i = 0; i < 9; ++i)
            wanted.insert(wanted.begin(),
                          run(R"({"service":"one","branch":")" +
                                  std::string(i % 3 == 0 ? "a&b" : "main") + R"(","commit":"abc"})",
                              "SUCCESS"));
        for (const std::string query :
             {"branch=main", "commit=ab&branch=main",
              "status=SUCCESS,FAILURE&branch=main&since=2001-01-01T00:00:00Z"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(query, idsOf("/api/runs?" + query),
                                         paged("/api/runs?limit=2&" + query));
        CPPUNIT_ASSERT_EQUAL(joined({wanted[2], wanted[5], wanted[8]}),
                             paged("/api/runs?limit=1&branch=a%26b"));
    }

    /// A service's labels are those of its runs, but for what a request says otherwise; a rerun has the same.
    void testRunsAreFoundByTheirLabels()
    {
        _daemon.writeService("one", service("one", "true") + "labels: { team: pay, tier: a }\n");
        _daemon.start();
        const auto first = run(R"({"service":"one","branch":"main","commit":"abc"})", "SUCCESS");
        const auto second =
            run(R"({"service":"one","commit":"abc","labels":{"team":"web","id":"4711: a=b&c"}})",
                "SUCCESS");
        const auto again = _daemon.post("/api/runs/" + second + "/rerun").body;
        _daemon.waitForRun(again, "SUCCESS");
        const auto labels = _daemon.get("/api/runs/" + again).json();
        CPPUNIT_ASSERT_EQUAL(std::string("4711: a=b&c"),
                             std::string(labels["labels"]["id"].GetString()));
        for (const auto& [query, wanted] :
             std::vector<std::pair<std::string, std::vector<std::string>>>{
                 {"label=team:pay", {first}},
                 {"label=team:web", {again, second}},
                 {"label=tier:a", {again, second, first}},
                 {"label=tier:", {}},
                 {"label=none:a", {}},
                 {"label=id:4711:%20a%3Db%26c", {again, second}},
                 {"label=tier:a&branch=main&status=SUCCESS,FAILURE", {first}},
                 {"label=tier:a&commit=ab&serviceId=one", {again, second, first}},
                 {"label=team:pay&commit=ab", {first}},
                 {"label=tier:a&status=FAILURE", {}}})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(query, joined(wanted), idsOf("/api/runs?" + query));
        CPPUNIT_ASSERT_EQUAL(idsOf("/api/runs?label=tier:a"),
                             paged("/api/runs?limit=1&label=tier:a"));
        CPPUNIT_ASSERT_EQUAL(200, _daemon.request("DELETE", "/api/runs/" + second).status);
        CPPUNIT_ASSERT_EQUAL(joined({again}), idsOf("/api/runs?label=team:web"));
    }

    void testLabelsHaveRules()
    {
        _daemon.start();
        std::string many;
        for (int i = 0; i < 33; ++i)
            many += (many.empty() ? "\"k" : ",\"k") + std::to_string(i) + "\":\"v\"";
        for (const std::string& labels :
             {std::string(R"({"a b":"x"})"), std::string(R"({"":"x"})"),
              std::string(R"({"-a":"x"})"), std::string(R"({"a:b":"x"})"),
              std::string(R"({"a":1})"), std::string(R"({"a":"x\ny"})"),
              std::string(R"({"a":"x","a":"y"})"), std::string(R"(["a"])"), "{" + many + "}",
              R"({"a":")" + std::string(256, 'x') + "\"}"})
        {
            std::string body = R"({"pipeline":{"stages":[{"type":"OTHER","plugin":"external"}]},)";
            body += R"("labels":)" + labels + "}";
            const auto answer = _daemon.post("/api/runs", body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(labels + answer.body, 400, answer.status);
            CPPUNIT_ASSERT_MESSAGE(
                answer.body,
                std::string(answer.json()["error"]["field"].GetString()).starts_with("labels"));
        }
        for (const std::string query : {"label=team", "label=", "label=:x", "label=a%20b:x"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(query, 400, _daemon.get("/api/runs?" + query).status);
    }

    /// Symptom: what a run took counted the hours in which it waited for an approval. Bound: with the times of its stages and
    /// of their earlier attempts a list has what it takes to leave them out.
    void testAListSaysHowLongStagesRan()
    {
        _daemon.start();
        const auto id =
            _daemon.submit(listOf({shell("sleep 0.2; test -e retried || { touch retried; exit 3; }",
                                         R"("retry":{"attempts":2})"),
                                   shell("true", R"("approval":"required")")}));
        _daemon.waitForRun(id, "AWAITING_APPROVAL");
        const auto list = _daemon.get("/api/runs?view=detail").json();
        const auto& stages = list[0]["stages"];
        CPPUNIT_ASSERT(stages[0]["startedAt"].IsString() && stages[0]["endedAt"].IsString());
        const auto earlier = stages[0]["earlierMs"].GetInt64();
        CPPUNIT_ASSERT_MESSAGE(std::to_string(earlier), earlier >= 200 && earlier < 60'000);
        CPPUNIT_ASSERT(stages[1]["startedAt"].IsNull());
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), stages[1]["earlierMs"].GetInt64());
    }

    /// Symptom: `?brnach=main` showed all runs. Bound: on every route, but after the right to use it.
    void testAnUnknownParameterIsRefused()
    {
        _daemon.start();
        for (const std::string path :
             {"/api/runs?brnach=main", "/api/services?x=1", "/healthz?x", "/api/agent?status=IDLE",
              "/api/stages?runId=11111111-1111-4111-8111-111111111111&x=1"})
        {
            const auto answer = _daemon.get(path);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path + answer.body, 400, answer.status);
            CPPUNIT_ASSERT(answer.body.find("unknown_parameter") != std::string::npos);
        }
        CPPUNIT_ASSERT(_daemon.get("/api/runs?brnach=main").body.find("did you mean 'branch'?") !=
                       std::string::npos);
    }

    void testARunSaysWhatFailedInIt()
    {
        _daemon.writeService("two", service("two", "exit 7"));
        _daemon.start();
        const auto id = run(R"({"service":"two","branch":"main","pullNumber":12})", "FAILURE");
        for (const std::string& path : {"/api/runs/" + id, std::string("/api/runs")})
        {
            const auto answer = _daemon.get(path).json();
            const auto& shown = answer.IsArray() ? answer[0] : answer;
            CPPUNIT_ASSERT_EQUAL(std::string("two"), std::string(shown["serviceName"].GetString()));
            CPPUNIT_ASSERT_EQUAL(std::string("main"), std::string(shown["branch"].GetString()));
            CPPUNIT_ASSERT_EQUAL(12, shown["pullNumber"].GetInt());
            CPPUNIT_ASSERT_EQUAL(std::string("EXIT"), std::string(shown["cause"].GetString()));
            CPPUNIT_ASSERT_EQUAL(_daemon.stagesOf(id)[0],
                                 std::string(shown["failedStage"]["id"].GetString()));
            CPPUNIT_ASSERT(shown["waitingFor"].IsNull());
        }
        const auto good =
            run(R"({"pipeline":{"stages":)" + listOf({shell("true")}) + "}}", "SUCCESS");
        const auto shown = _daemon.get("/api/runs/" + good).json();
        for (const char* key : {"serviceName", "branch", "pullNumber", "cause", "failedStage"})
            CPPUNIT_ASSERT_MESSAGE(key, shown[key].IsNull());
    }

    void testARunSaysWhatItWaitsFor()
    {
        _daemon.set("executor.slots", "1");
        _daemon.writeService("one", service("one", "sleep 971"));
        _daemon.start();
        const auto first = _daemon.submitService("one");
        _daemon.waitForRun(first, "IN_PROGRESS");
        const auto second = _daemon.submitService("one");
        const auto inlined = _daemon.submit(listOf({shell("true")}));
        CPPUNIT_ASSERT_EQUAL(std::string("null"), waits(first));
        CPPUNIT_ASSERT_EQUAL("concurrency " + first + " 1 null", waits(second));
        CPPUNIT_ASSERT_EQUAL(std::string("slot null 2 null"), waits(inlined));
        CPPUNIT_ASSERT_EQUAL(
            std::string("slot"),
            std::string(_daemon.get("/api/runs").json()[0]["waitingFor"]["reason"].GetString()));
        _daemon.patch("/api/runs/" + inlined, R"({"priority":1})");
        CPPUNIT_ASSERT_EQUAL(std::string("slot null 1 null"), waits(inlined));
        _daemon.post("/api/agent/drain");
        CPPUNIT_ASSERT_EQUAL(std::string("draining null 1 null"), waits(inlined));
        _daemon.post("/api/agent/resume");
        for (const auto& id : {second, first})
            CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + id + "/stop").status);
        _daemon.waitForRun(inlined, "SUCCESS");

        const auto gated =
            _daemon.submit(R"([{"type":"DEPLOY_PROD","plugin":"external","approval":"required"}])");
        _daemon.waitForRun(gated, "AWAITING_APPROVAL");
        CPPUNIT_ASSERT_EQUAL(std::string("approval null null null"), waits(gated));
        _daemon.post("/api/runs/" + gated + "/approve-deployment");
        waitFor("the outside party", [&] { return waits(gated) == "external null null null"; });
        _daemon.post("/api/runs/" + gated + "/stop");
        const auto failing =
            _daemon.submit(listOf({shell("exit 1", R"("retry":{"attempts":2,"delay":"600s"})")}));
        waitFor("the delay", [&] { return waits(failing).starts_with("retry null null 2"); });
        _daemon.post("/api/runs/" + failing + "/stop");
    }

    void testStagesAreListedInDetail()
    {
        _daemon.start();
        const auto id = _daemon.submit(listOf({shell("echo words"), shell("exit 3")}));
        _daemon.waitForRun(id, "FAILURE");
        const auto plain = _daemon.get("/api/stages?runId=" + id);
        const auto list = _daemon.get("/api/stages?runId=" + id + "&view=detail").json();
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType(2), list.Size());
        CPPUNIT_ASSERT_EQUAL(6, list[0]["logBytes"].GetInt());
        CPPUNIT_ASSERT_EQUAL(3, list[1]["exitCode"].GetInt());
        CPPUNIT_ASSERT(plain.body.find("exitCode") == std::string::npos);
        CPPUNIT_ASSERT_EQUAL(400, _daemon.get("/api/stages?runId=" + id + "&view=x").status);
        CPPUNIT_ASSERT_EQUAL(plain.body, _daemon.get("/api/stages?runId=" + id).body);
    }

    void testAStuckStageIsToldByItsEvent()
    {
        _daemon.start();
        agent::test::StreamClient events(_daemon.url(), "/api/events");
        const auto id = _daemon.submit(listOf({shell("sleep 971", R"("stuck_after":"1s")")}));
        events.untilText(R"("stuckWhy":"no output for 1 s")");
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + id + "/stop").status);
    }

private:
    static std::string service(const std::string& name, const std::string& command)
    {
        return "name: " + name + "\nstages:\n  - { type: BUILD, plugin: shell, with: { command: '" +
               command + "' } }\n";
    }

    static std::string joined(const std::vector<std::string>& ids)
    {
        std::string text;
        for (const auto& id : ids)
            text += id + " ";
        return text;
    }

    /// Submits it, and waits for its end; the next one is created in another millisecond.
    std::string run(const std::string& body, const std::string& end)
    {
        const auto made = _daemon.post("/api/runs", body);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        std::string id = made.json()["id"].GetString();
        _daemon.waitForRun(id, end);
        return id;
    }

    [[nodiscard]] std::string created(const std::string& id) const
    {
        return _daemon.get("/api/runs/" + id).json()["createdAt"].GetString();
    }

    [[nodiscard]] std::string idsOf(const std::string& path) const
    {
        const auto answer = _daemon.get(path);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(path + answer.body, 200, answer.status);
        std::vector<std::string> ids;
        const auto list = answer.json();
        for (const auto& each : list.GetArray())
            ids.emplace_back(each["id"].GetString());
        return joined(ids);
    }

    /// All pages, one after the other.
    [[nodiscard]] std::string paged(std::string path) const
    {
        std::string ids;
        while (!path.empty())
        {
            const auto answer = _daemon.get(path);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path + answer.body, 200, answer.status);
            const auto list = answer.json();
            for (const auto& each : list.GetArray())
                ids += std::string(each["id"].GetString()) + " ";
            const auto link = answer.headers.find("link");
            path = link == answer.headers.end()
                       ? ""
                       : link->second.substr(1, link->second.find('>') - 1);
        }
        return ids;
    }

    /// `reason runId place until`; of a time its millennium.
    [[nodiscard]] std::string waits(const std::string& id) const
    {
        const auto run = _daemon.get("/api/runs/" + id).json();
        const auto& waiting = run["waitingFor"];
        if (waiting.IsNull())
            return "null";
        const auto text = [&](const char* key) -> std::string
        {
            const auto& value = waiting[key];
            return value.IsNull()  ? "null"
                   : value.IsInt() ? std::to_string(value.GetInt())
                                   : value.GetString();
        };
        const std::string until = text("until");
        return text("reason") + " " + text("runId") + " " + text("place") + " " +
               (until == "null" ? until : until.substr(0, 1));
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RunListTest);
