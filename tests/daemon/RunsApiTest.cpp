// Runs: submit, list, stop, rerun, retries, real repositories, and what is refused.
#include "tests/support/Daemon.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>
#include <cstdlib>

using agent::test::Answer;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::waitFor;

class RunsApiTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RunsApiTest);
    CPPUNIT_TEST(testServiceRunsARealRepository);
    CPPUNIT_TEST(testMissingCommitAndSilentRepositoryFailWithAMessage);
    CPPUNIT_TEST(testIdempotencyKeyMakesOneRunAlsoOverARestart);
    CPPUNIT_TEST(testStopEndsARunningAndAQueuedRun);
    CPPUNIT_TEST(testRerunIsABareIdAndOnlyOfAnEndedRun);
    CPPUNIT_TEST(testListIsNewestFirstAndPages);
    CPPUNIT_TEST(testRetryKeepsItsAttempts);
    CPPUNIT_TEST(testOutputsReachLaterStages);
    CPPUNIT_TEST(testTimeoutAndSilence);
    CPPUNIT_TEST(testSecretsAreMaskedAndAMissingOneIsNamed);
    CPPUNIT_TEST(testSlotsAndPriority);
    CPPUNIT_TEST(testServiceIsNamedByItsIdToo);
    CPPUNIT_TEST(testBadSubmissionsNameTheirField);
    CPPUNIT_TEST(testBrokenServiceFileNeverStopsTheOthers);
    CPPUNIT_TEST(testConfigurationErrorsAreAllToldAndExit78);
    CPPUNIT_TEST(testLogIsServedWithRanges);
    CPPUNIT_TEST(testDeleteRunTakesItsFilesAlong);
    CPPUNIT_TEST(testLowDiskTakesNoRunAndSaysSo);
    CPPUNIT_TEST_SUITE_END();

public:
    void testServiceRunsARealRepository()
    {
        const std::string repository = makeRepository();
        _daemon.writeService(
            "demo", "name: demo\nrepository: " + repository +
                        "\nstages:\n  - { type: PREPARE, plugin: git }\n"
                        "  - { type: BUILD, plugin: shell, with: { command: cat file } }\n");
        _daemon.start();
        const auto run = _daemon.submitService("demo");
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("content\n"), _daemon.log(_daemon.stagesOf(run)[1]));
        const auto shown = _daemon.get("/api/runs/" + run).json();
        CPPUNIT_ASSERT_EQUAL(std::size_t{40}, std::string(shown["commitHash"].GetString()).size());
        CPPUNIT_ASSERT_EQUAL(std::string("first words"),
                             std::string(shown["commitMessage"].GetString()));
        CPPUNIT_ASSERT(std::string(shown["committer"].GetString()).find("Ada") == 0);
        const auto services = _daemon.get("/api/services").json();
        CPPUNIT_ASSERT_EQUAL(std::string(services[0]["id"].GetString()),
                             std::string(shown["serviceId"].GetString()));
    }

    void testMissingCommitAndSilentRepositoryFailWithAMessage()
    {
        const std::string repository = makeRepository();
        _daemon.writeService("demo", "name: demo\nrepository: " + repository +
                                         "\nstages: [{ type: PREPARE, plugin: git }]\n");
        _daemon.writeService("gone", "name: gone\nrepository: http://127.0.0.1:9/none.git\n"
                                     "stages: [{ type: PREPARE, plugin: git, timeout: 20s }]\n");
        _daemon.start();
        const Answer made =
            _daemon.post("/api/runs", R"({"service":"demo","commit":"deadbeefdeadbeef"})");
        const std::string run = made.json()["id"].GetString();
        _daemon.waitForRun(run, "FAILURE");
        const std::string log = _daemon.log(_daemon.stagesOf(run)[0]);
        CPPUNIT_ASSERT_MESSAGE(log, log.find("deadbeefdeadbeef") != std::string::npos);
        const auto gone = _daemon.submitService("gone");
        _daemon.waitForRun(gone, "FAILURE");
        const std::string reason = _daemon.log(_daemon.stagesOf(gone)[0]);
        CPPUNIT_ASSERT_MESSAGE(reason, reason.find("127.0.0.1") != std::string::npos);
    }

    void testIdempotencyKeyMakesOneRunAlsoOverARestart()
    {
        _daemon.start();
        const auto submit = [&](const std::string& command)
        {
            return _daemon.request(
                "POST", "/api/runs",
                R"({"pipeline":{"stages":[{"type":"BUILD","plugin":"shell","with":{"command":")" +
                    command + R"("}}]}})",
                {{"Idempotency-Key", "key-1"}});
        };
        const Answer first = submit("true");
        CPPUNIT_ASSERT_EQUAL(201, first.status);
        const Answer second = submit("true");
        CPPUNIT_ASSERT_EQUAL(200, second.status);
        CPPUNIT_ASSERT_EQUAL(std::string(first.json()["id"].GetString()),
                             std::string(second.json()["id"].GetString()));
        CPPUNIT_ASSERT_EQUAL(409, submit("false").status);
        _daemon.kill();
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(200, submit("true").status);
        CPPUNIT_ASSERT_EQUAL(409, submit("false").status);
    }

    void testStopEndsARunningAndAQueuedRun()
    {
        _daemon.set("executor.slots", "1");
        _daemon.start();
        const auto running = _daemon.submit(one("trap '' TERM; sleep 961 & sleep 962"));
        const auto queued = _daemon.submit(one("true"));
        _daemon.waitForRun(running, "IN_PROGRESS");
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + queued + "/stop").status);
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(queued));
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"),
                             _daemon.detail(_daemon.stagesOf(queued)[0], "status"));
        const Answer stopped = _daemon.post("/api/runs/" + running + "/stop");
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"executionsStopped":1})"), stopped.body);
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(running));
        CPPUNIT_ASSERT_EQUAL(std::string("STOPPED"),
                             _daemon.detail(_daemon.stagesOf(running)[0], "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"executionsStopped":0})"),
                             _daemon.post("/api/runs/" + running + "/stop").body);
    }

    void testRerunIsABareIdAndOnlyOfAnEndedRun()
    {
        _daemon.start();
        const auto run = _daemon.submit(one("sleep 0.5"));
        CPPUNIT_ASSERT_EQUAL(409, _daemon.post("/api/runs/" + run + "/rerun").status);
        _daemon.waitForRun(run, "SUCCESS");
        const Answer again = _daemon.post("/api/runs/" + run + "/rerun");
        CPPUNIT_ASSERT_EQUAL(std::size_t{36}, again.body.size());
        CPPUNIT_ASSERT(again.headers.at("content-type").starts_with("text/plain"));
        _daemon.waitForRun(again.body, "SUCCESS");
    }

    void testListIsNewestFirstAndPages()
    {
        _daemon.start();
        std::vector<std::string> ids;
        for (int i = 0; i < 5; ++i)
            ids.push_back(_daemon.submit(one("true")));
        const Answer page = _daemon.get("/api/runs?limit=2");
        const auto runs = page.json();
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType{2}, runs.Size());
        CPPUNIT_ASSERT_EQUAL(ids[4], std::string(runs[0]["id"].GetString()));
        CPPUNIT_ASSERT(page.headers.at("link").find("before=" + ids[3]) != std::string::npos);
        const auto rest = _daemon.get("/api/runs?before=" + ids[3]).json();
        CPPUNIT_ASSERT_EQUAL(ids[2], std::string(rest[0]["id"].GetString()));
        for (const char* bad : {"limit=0", "limit=1001", "limit=x", "status=DONE", "before=x"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bad, 400,
                                         _daemon.get(std::string("/api/runs?") + bad).status);
    }

    void testRetryKeepsItsAttempts()
    {
        _daemon.start();
        const auto run = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","retry":{"attempts":3,"delay":"100ms"},)"
            R"("with":{"command":"echo attempt $STAGE_ATTEMPT; test $STAGE_ATTEMPT = 3"}}])");
        _daemon.waitForRun(run, "SUCCESS");
        const auto id = _daemon.stagesOf(run)[0];
        CPPUNIT_ASSERT_EQUAL(std::string("3"), _daemon.detail(id, "attempt"));
        for (const std::string n : {"1", "2", "3"})
            CPPUNIT_ASSERT_EQUAL("attempt " + n + "\n",
                                 _daemon.get("/api/stages/" + id + "/log?attempt=" + n).body);
        CPPUNIT_ASSERT_EQUAL(400, _daemon.get("/api/stages/" + id + "/log?attempt=4").status);
    }

    void testOutputsReachLaterStages()
    {
        _daemon.start();
        const auto run = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","with":{"command":"echo '{\"image\":\"a b\"}' > $STAGE_OUTPUTS"}},)"
            R"({"type":"OTHER","plugin":"shell","with":{"command":"echo got $OUTPUT_IMAGE"}},)"
            R"({"type":"OTHER","plugin":"shell","with":{"command":"echo no json > $STAGE_OUTPUTS"}}])");
        _daemon.waitForRun(run, "FAILURE");
        const auto ids = _daemon.stagesOf(run);
        CPPUNIT_ASSERT_EQUAL(std::string("got a b\n"), _daemon.log(ids[1]));
        CPPUNIT_ASSERT_EQUAL(std::string("PLUGIN_ERROR"), _daemon.detail(ids[2], "cause"));
    }

    void testTimeoutAndSilence()
    {
        _daemon.start();
        const auto late = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","timeout":"1s","with":{"command":"sleep 951"}}])");
        const auto quiet = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","silence":"1s","with":{"command":"echo a; sleep 952"}}])");
        _daemon.waitForRun(late, "FAILURE");
        _daemon.waitForRun(quiet, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("TIMEOUT"),
                             _daemon.detail(_daemon.stagesOf(late)[0], "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("SILENT"),
                             _daemon.detail(_daemon.stagesOf(quiet)[0], "cause"));
    }

    void testSecretsAreMaskedAndAMissingOneIsNamed()
    {
        _daemon.writeSecret("TOKEN", "hunter22\n");
        const std::string stages = "stages: [{ type: BUILD, plugin: shell, with: { command: 'echo "
                                   "\"$TOKEN\" | rev | rev' } }]\n";
        _daemon.writeService("good", "name: good\nsecrets: [TOKEN]\n" + stages);
        _daemon.writeService("bad", "name: bad\nsecrets: [NOWHERE]\n" + stages);
        _daemon.start();
        const auto good = _daemon.submitService("good");
        _daemon.waitForRun(good, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("***\n"), _daemon.log(_daemon.stagesOf(good)[0]));
        const auto bad = _daemon.submitService("bad");
        _daemon.waitForRun(bad, "FAILURE");
        const auto id = _daemon.stagesOf(bad)[0];
        CPPUNIT_ASSERT_EQUAL(std::string("PLUGIN_ERROR"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT(_daemon.detail(id, "message").find("NOWHERE") != std::string::npos);
    }

    void testSlotsAndPriority()
    {
        _daemon.set("executor.slots", "1");
        _daemon.start();
        const std::string order = (_daemon.folder() / "order").string();
        const auto first = _daemon.submit(one("sleep 0.5; echo first >> " + order));
        _daemon.waitForRun(first, "IN_PROGRESS");
        const auto low = _daemon.submit(one("echo low >> " + order));
        const Answer high = _daemon.post("/api/runs", R"({"priority":5,"pipeline":{"stages":)" +
                                                          one("echo high >> " + order) + "}}");
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.statusOf(low));
        _daemon.waitForRun(low, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("first\nhigh\nlow\n"), contentOf(order));
        CPPUNIT_ASSERT_EQUAL(201, high.status);
    }

    void testServiceIsNamedByItsIdToo()
    {
        _daemon.writeService("demo", "name: demo\nid: 6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10\n"
                                     "stages: [{ type: OTHER, plugin: external }]\n");
        _daemon.writeService("other", "name: other\nstages: [{ type: OTHER, plugin: external }]\n");
        _daemon.start();
        for (const std::string id :
             {"6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10", "6F1B3C52-8F0E-4C5A-9A37-2F4F0F1D9B10"})
        {
            CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/services/" + id).status);
            CPPUNIT_ASSERT_EQUAL(201, _daemon.post("/api/runs?serviceId=" + id, "").status);
            CPPUNIT_ASSERT_EQUAL(
                201, _daemon.post("/api/runs?serviceId=" + id, R"({"service":"demo"})").status);
            CPPUNIT_ASSERT_EQUAL(
                400, _daemon.post("/api/runs?serviceId=" + id, R"({"service":"other"})").status);
        }
        const auto unknown = _daemon.post("/api/runs?serviceId=nobody", "");
        CPPUNIT_ASSERT_EQUAL(404, unknown.status);
        CPPUNIT_ASSERT_EQUAL(std::string("serviceId"),
                             std::string(unknown.json()["error"]["field"].GetString()));
    }

    void testBadSubmissionsNameTheirField()
    {
        _daemon.start();
        const auto refused = [&](int status, const std::string& field, const std::string& body)
        {
            const Answer answer = _daemon.post("/api/runs", body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, status, answer.status);
            const auto document = answer.json();
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, field,
                                         std::string(document["error"]["field"].GetString()));
        };
        refused(404, "service", R"({"service":"nobody"})");
        refused(400, "service", "{}");
        refused(400, "commit", R"({"service":"x","commit":"--upload-pack=x"})");
        refused(400, "branch", R"({"service":"x","branch":"-x"})");
        refused(400, "nonsense", R"({"nonsense":1})");
        refused(400, "triggerType", R"({"service":"x","triggerType":"CRON"})");
        refused(400, "env.STAGE_ID", R"({"service":"x","env":{"STAGE_ID":"1"}})");
        refused(400, "pipeline.stages[0].plugin",
                R"({"pipeline":{"stages":[{"type":"BUILD","plugin":"nowhere"}]}})");
        refused(400, "pipeline.stages[0].with.command",
                R"({"pipeline":{"stages":[{"type":"BUILD","plugin":"shell"}]}})");
        refused(
            400, "pipeline.secrets",
            R"({"pipeline":{"secrets":["A"],"stages":[{"type":"BUILD","plugin":"external"}]}})");
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType{0}, _daemon.get("/api/runs").json().Size());
        CPPUNIT_ASSERT_EQUAL(
            421, _daemon.request("GET", "/api/runs", "", {{"Host", "evil.example"}}).status);
        CPPUNIT_ASSERT_EQUAL(
            403,
            _daemon.request("GET", "/api/runs", "", {{"Origin", "http://evil.example"}}).status);
    }

    void testBrokenServiceFileNeverStopsTheOthers()
    {
        _daemon.writeService("bad",
                             "name: bad\nstages: [{ type: BUILT, plugin: shell }]\nbrnch: x\n");
        _daemon.writeService("good", "name: good\nstages: [{ type: OTHER, plugin: external }]\n");
        std::string output;
        CPPUNIT_ASSERT_EQUAL(78, _daemon.runToEnd({"--check"}, output));
        CPPUNIT_ASSERT_MESSAGE(output, output.find("bad.yaml:2") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(output, output.find("branch") != std::string::npos);
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType{1}, _daemon.get("/api/services").json().Size());
        _daemon.writeService("bad", "name: bad\nstages: [{ type: OTHER, plugin: external }]\n");
        _daemon.signal(SIGHUP);
        waitFor("the reload", [&] { return _daemon.get("/api/services").json().Size() == 2; });
    }

    void testConfigurationErrorsAreAllToldAndExit78()
    {
        std::string output;
        CPPUNIT_ASSERT_EQUAL(
            78, _daemon.runToEnd({"-D", "executor.slots=none", "-D", "stage.grace=soon"}, output));
        for (const char* key : {"executor.slots", "stage.grace"})
            CPPUNIT_ASSERT_MESSAGE(output, output.find(key) != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(0, _daemon.runToEnd({"--version"}, output));
        CPPUNIT_ASSERT(output.starts_with("stage-agent 0."));
        CPPUNIT_ASSERT_EQUAL(0, _daemon.runToEnd({"--help"}, output));
    }

    void testLogIsServedWithRanges()
    {
        _daemon.start();
        const auto run = _daemon.submit(one("printf 0123456789"));
        _daemon.waitForRun(run, "SUCCESS");
        const std::string log = "/api/stages/" + _daemon.stagesOf(run)[0] + "/log";
        const auto range = [&](const std::string& value) {
            return _daemon.request("GET", log, "", {{"Range", value}});
        };
        CPPUNIT_ASSERT_EQUAL(std::string("0123456789"), _daemon.get(log).body);
        CPPUNIT_ASSERT_EQUAL(206, range("bytes=2-4").status);
        CPPUNIT_ASSERT_EQUAL(std::string("234"), range("bytes=2-4").body);
        CPPUNIT_ASSERT_EQUAL(std::string("89"), range("bytes=-2").body);
        CPPUNIT_ASSERT_EQUAL(416, range("bytes=10-").status);
    }

    void testDeleteRunTakesItsFilesAlong()
    {
        _daemon.start();
        const auto run = _daemon.submit(one("sleep 0.3; echo x > file"));
        _daemon.waitForRun(run, "IN_PROGRESS");
        CPPUNIT_ASSERT_EQUAL(409, _daemon.request("DELETE", "/api/runs/" + run).status);
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(200, _daemon.request("DELETE", "/api/runs/" + run).status);
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get("/api/runs/" + run).status);
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), _daemon.get("/api/stages?runId=" + run).body);
        waitFor("its files to go",
                [&]
                {
                    return std::filesystem::is_empty(_daemon.state() / "trash") &&
                           !std::filesystem::exists(_daemon.state() / "runs" / run.substr(0, 2) /
                                                    run);
                });
    }

    void testLowDiskTakesNoRunAndSaysSo()
    {
        _daemon.set("disk.min_free", "1000T");
        _daemon.start();
        const Answer refused =
            _daemon.post("/api/runs", R"({"pipeline":{"stages":)" + one("true") + "}}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(refused.body, 429, refused.status);
        CPPUNIT_ASSERT(refused.headers.contains("retry-after"));
        const Answer ready = _daemon.get("/readyz");
        CPPUNIT_ASSERT_EQUAL(503, ready.status);
        CPPUNIT_ASSERT(ready.body.find("disk.min_free") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/healthz").status);
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType{0}, _daemon.get("/api/runs").json().Size());
    }

private:
    static std::string one(const std::string& command)
    {
        return R"([{"type":"BUILD","plugin":"shell","with":{"command":")" + command + "\"}}]";
    }

    std::string makeRepository() const
    {
        std::string folder = (_daemon.folder() / "repository").string();
        const std::string git =
            "git -C " + folder + " -c user.name=Ada -c user.email=ada@example.org ";
        const std::string script = "mkdir " + folder + " && git -C " + folder +
                                   " init -q -b main && echo content > " + folder + "/file && " +
                                   git + "add . && " + git + "commit -q -m 'first words'";
        CPPUNIT_ASSERT_EQUAL(0, std::system(script.c_str())); // NOLINT: our own words
        return folder;
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RunsApiTest);
