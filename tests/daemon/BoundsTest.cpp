// What a client may write at most, and what is told beyond it.
#include "tests/support/Daemon.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <fstream>

using agent::test::Answer;
using agent::test::Daemon;

class BoundsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(BoundsTest);
    CPPUNIT_TEST(testTextsAreBoundedAndWithoutControlCharacters);
    CPPUNIT_TEST(testWhatIsRefusedIsShownEscapedAndCut);
    CPPUNIT_TEST(testRequestForADeclaredServiceSetsOnlyData);
    CPPUNIT_TEST(testVariablesHaveTheBoundsOfAPipeline);
    CPPUNIT_TEST(testRemarksOfAStageHaveAnEnd);
    CPPUNIT_TEST(testLongListsAreCompleteAndComeInPages);
    CPPUNIT_TEST(testFullQueueIsToldWith429);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTextsAreBoundedAndWithoutControlCharacters()
    {
        _daemon.start();
        const auto run = _daemon.submit(external);
        const std::string runPath = "/api/runs/" + run;
        const std::string stagePath = "/api/stages/" + _daemon.stagesOf(run)[0];
        const auto check = [&](const std::string& path, const std::string& key, std::size_t most)
        {
            CPPUNIT_ASSERT_EQUAL(200, patched(path, key, std::string(most, 'x')).status);
            expectRefused(patched(path, key, std::string(most + 1, 'x')), key);
            for (const char* wrong : {"a\\u001b[0m", "\\u0000", "a\\rb", "\\u007f", "\\u009b"})
                expectRefused(patched(path, key, wrong), key);
        };
        check(runPath, "commitMessage", 8192);
        check(runPath, "committer", 1024);
        check(runPath, "commitHash", 255);
        check(stagePath, "reason", 4096);
        for (const char* key : {"commitMessage", "committer"})
            CPPUNIT_ASSERT_EQUAL(200, patched(runPath, key, "one\\n\\ttwo \\u202e \\u00fc").status);
        for (const char* wrong :
             {R"("pullNumber":-1)", R"("pullNumber":2147483648)", R"("priority":1000001)",
              R"("priority":-1000001)", R"("priority":1.5)", R"("pullNumber":"7")"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(wrong, 400, _daemon.patch(runPath, object(wrong)).status);
        for (const char* key : {"commitMessage", "committer", "commit", "branch", "service"})
            expectRefused(_daemon.post("/api/runs", object(member(key, std::string(8193, 'x')))),
                          key);
        const Answer key = _daemon.request("POST", "/api/runs", R"({"service":"x"})",
                                           {{"Idempotency-Key", std::string(256, 'x')}});
        expectRefused(key, "Idempotency-Key");
    }

    /// An answer goes to terminals and journals of others.
    void testWhatIsRefusedIsShownEscapedAndCut()
    {
        _daemon.start();
        const Answer escape = _daemon.get("/api/runs?status=%1b%5b2J%e2%80%ae");
        CPPUNIT_ASSERT_EQUAL(400, escape.status);
        CPPUNIT_ASSERT_EQUAL(std::string("there is no status '\\x1b[2J\\u202e'"),
                             std::string(escape.json()["error"]["message"].GetString()));
        const Answer cut =
            _daemon.post("/api/runs", object(member(std::string(900'000, 'k'), "v")));
        CPPUNIT_ASSERT_EQUAL(400, cut.status);
        CPPUNIT_ASSERT(cut.body.size() < 10'000);
        CPPUNIT_ASSERT_EQUAL(
            400,
            _daemon.post("/api/runs", object(member(std::string(900'000, 'k'), "\\u0001"))).status);
    }

    void testRequestForADeclaredServiceSetsOnlyData()
    {
        _daemon.writeService("dep", "name: dep\nenv: { MAKEFLAGS: -s }\nstages:\n"
                                    "  - type: DEPLOY_PROD\n    plugin: shell\n    with:\n"
                                    "      command: echo \"deployed $TARGET $MAKEFLAGS\"\n");
        _daemon.start();
        const auto submit = [&](const std::string& env)
        { return _daemon.post("/api/runs", R"({"service":"dep","env":{)" + env + "}}"); };
        for (const char* name : {"BASH_ENV", "LD_PRELOAD", "NODE_OPTIONS", "PERL5OPT",
                                 "GIT_SSH_COMMAND", "PATH", "MAKEFLAGS"})
            expectRefused(submit(member(name, "x")), std::string("env.") + name);
        const Answer made = submit(member("TARGET", "$(echo no) `id`"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        const std::string run = made.json()["id"].GetString();
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("deployed $(echo no) `id` -s\n"),
                             _daemon.log(_daemon.stagesOf(run)[0]));
        // Whoever writes the commands may write their environment.
        const Answer own = _daemon.post(
            "/api/runs",
            R"({"env":{"MAKEFLAGS":"-k"},"pipeline":{"env":{"BASH_ENV":"/dev/null"},"stages":)" +
                std::string(external) + "}}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(own.body, 201, own.status);
    }

    void testVariablesHaveTheBoundsOfAPipeline()
    {
        _daemon.writeService("s", "name: s\nstages: [{ type: OTHER, plugin: external }]\n");
        _daemon.start();
        const auto submit = [&](const std::string& env)
        { return _daemon.post("/api/runs", R"({"service":"s","env":{)" + env + "}}"); };
        const auto variables = [](int count, std::size_t size)
        {
            std::string all;
            for (int i = 0; i < count; ++i)
                all += (i == 0 ? "" : ",") +
                       member("V" + std::to_string(1000 + i), std::string(size, 'x'));
            return all;
        };
        expectRefused(submit(variables(1001, 1)), "env");
        expectRefused(submit(variables(3, 100'000)), "env");
        expectRefused(submit(variables(1, 131'000)), "env.V1000");
        expectRefused(submit(member("A", "1") + "," + member("A", "2")), "env.A");
        expectRefused(submit(member(std::string(257, 'A'), "1")), "env." + std::string(257, 'A'));
        CPPUNIT_ASSERT_EQUAL(201, submit(variables(1000, 100)).status);
    }

    void testRemarksOfAStageHaveAnEnd()
    {
        _daemon.start();
        const auto run = _daemon.submit(external);
        const std::string path = "/api/stages/" + _daemon.stagesOf(run)[0];
        const std::string longest(4096, 'x');
        for (int i = 0; i < 1000; ++i)
            CPPUNIT_ASSERT_EQUAL(200, patched(path, "reason", longest).status);
        const Answer refused = patched(path, "reason", "again");
        CPPUNIT_ASSERT_EQUAL(409, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("too_many_remarks"),
                             std::string(refused.json()["error"]["code"].GetString()));
        CPPUNIT_ASSERT_EQUAL(
            409, _daemon.patch(path, R"({"status":"SUCCESS","reason":"enough"})").status);
        // An operator can always end it.
        CPPUNIT_ASSERT_EQUAL(200, _daemon.patch(path, R"({"status":"SUCCESS"})").status);
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(
            409, _daemon.patch(path, R"({"startedAt":"2023-03-20T17:17:13.760Z"})").status);

        for (const std::string& history : {path + "/history", "/api/runs/" + run + "/history"})
        {
            const Answer all = _daemon.get(history);
            CPPUNIT_ASSERT_EQUAL(200, all.status);
            CPPUNIT_ASSERT_EQUAL(std::string("chunked"), all.headers.at("transfer-encoding"));
            const auto entries = all.json();
            int remarks = 0;
            for (const auto& entry : entries.GetArray())
                remarks += entry["reason"].IsString() && entry["reason"].GetString() == longest;
            CPPUNIT_ASSERT_EQUAL(1000, remarks);
        }
    }

    void testLongListsAreCompleteAndComeInPages()
    {
        _daemon.set("executor.slots", "1");
        _daemon.start();
        std::vector<std::string> ids;
        for (int i = 0; i < 40; ++i)
            ids.push_back(
                _daemon
                    .post("/api/runs", "{" + member("commitMessage", std::string(8192, 'x')) +
                                           R"(,"pipeline":{"stages":)" + external + "}}")
                    .json()["id"]
                    .GetString());
        std::reverse(ids.begin(), ids.end());
        const Answer all = _daemon.get("/api/runs");
        CPPUNIT_ASSERT_EQUAL(std::string("chunked"), all.headers.at("transfer-encoding"));
        CPPUNIT_ASSERT(!all.headers.contains("link"));
        CPPUNIT_ASSERT(ids == idsOf(all));
        const Answer most = _daemon.get("/api/runs?limit=39");
        CPPUNIT_ASSERT_EQUAL("</api/runs?limit=39&before=" + ids[38] + ">; rel=\"next\"",
                             most.headers.at("link"));
        CPPUNIT_ASSERT(std::vector(ids.begin(), ids.end() - 1) == idsOf(most));
        const Answer last = _daemon.get("/api/runs?limit=39&before=" + ids[38]);
        CPPUNIT_ASSERT(std::vector{ids[39]} == idsOf(last));
        CPPUNIT_ASSERT(!last.headers.contains("link"));
    }

    void testFullQueueIsToldWith429()
    {
        _daemon.set("runs.queue_max", "3");
        _daemon.set("executor.slots", "1");
        _daemon.start();
        const auto go = (_daemon.folder() / "go").string();
        const auto submit = [&](const std::string& key)
        {
            return _daemon.request(
                "POST", "/api/runs",
                R"({"pipeline":{"stages":[{"type":"BUILD","plugin":"shell","with":{"command":)"
                R"("while test ! -e )" +
                    go + R"(; do sleep 0.05; done"}}]}})",
                {{"Idempotency-Key", key}});
        };
        const std::string first = submit("0").json()["id"].GetString();
        _daemon.waitForRun(first, "IN_PROGRESS");
        for (const char* key : {"1", "2", "3"})
            CPPUNIT_ASSERT_EQUAL(201, submit(key).status);
        const Answer full = submit("4");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(full.body, 429, full.status);
        CPPUNIT_ASSERT_EQUAL(std::string("queue_full"),
                             std::string(full.json()["error"]["code"].GetString()));
        CPPUNIT_ASSERT(full.headers.contains("retry-after"));
        CPPUNIT_ASSERT_EQUAL(200, submit("3").status); // it is there already
        std::ofstream(go) << "x";
        _daemon.waitForRun(first, "SUCCESS");
        agent::test::waitFor("room in the queue", [&] { return submit("4").status == 201; });
        agent::test::waitFor(
            "the last end",
            [&] { return _daemon.post("/api/runs/" + first + "/rerun").status == 200; });
    }

private:
    static constexpr const char* external = R"([{"type":"OTHER","plugin":"external"}])";

    static std::string member(const std::string& key, const std::string& value)
    {
        return "\"" + key + "\":\"" + value + "\"";
    }

    static std::string object(const std::string& members) { return "{" + members + "}"; }

    static std::vector<std::string> idsOf(const Answer& list)
    {
        std::vector<std::string> ids;
        const auto document = list.json();
        for (const auto& item : document.GetArray())
            ids.emplace_back(item["id"].GetString());
        return ids;
    }

    Answer patched(const std::string& path, const std::string& key, const std::string& value) const
    {
        return _daemon.patch(path, object(member(key, value)));
    }

    static void expectRefused(const Answer& answer, const std::string& field)
    {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 400, answer.status);
        const auto body = answer.json();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, field,
                                     std::string(body["error"]["field"].GetString()));
        CPPUNIT_ASSERT_MESSAGE(answer.body, answer.body.find("\\u001b") == std::string::npos);
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(BoundsTest);
