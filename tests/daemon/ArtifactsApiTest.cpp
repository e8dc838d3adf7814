// What people and programs see of what stages left: files, archives, test results, and runs that are kept.
#include "tests/support/Daemon.h"
#include "tests/support/LeftResults.h"
#include "tests/support/StreamClient.h"
#include "tests/support/Unpacked.h"

#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <vector>

namespace fs = std::filesystem;

using agent::StoredArtifacts;
using agent::test::Answer;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::LeftResults;
using agent::test::shell;
using agent::test::StreamClient;
using agent::test::waitFor;

class ArtifactsApiTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ArtifactsApiTest);
    CPPUNIT_TEST(testListsWhatAStageLeft);
    CPPUNIT_TEST(testServesAFileWholeAndInParts);
    CPPUNIT_TEST(testABrowserGetsItInAnOriginOfItsOwn);
    CPPUNIT_TEST(testServesNamesThatAPathCantHold);
    CPPUNIT_TEST(testTellsOfAFileThatIsGone);
    CPPUNIT_TEST(testBelievesNoListButTheOneOnRecord);
    CPPUNIT_TEST(testAnArchiveHoldsWhatAllStagesLeft);
    CPPUNIT_TEST(testAnArchiveEndsWithItsClient);
    CPPUNIT_TEST(testTellsWhichTestsFailed);
    CPPUNIT_TEST(testMasksSecretsInWhatTestsPrinted);
    CPPUNIT_TEST(testLostResultsLeaveTheCounts);
    CPPUNIT_TEST(testARunThatIsKeptDoesNotAge);
    CPPUNIT_TEST(testServesWhatARunLeft);
    CPPUNIT_TEST(testArtifactsOfARunThatIsKeptStay);
    CPPUNIT_TEST_SUITE_END();

    Daemon _daemon;
    std::unique_ptr<LeftResults> _left;

    void runOnce(const std::vector<std::string>& names)
    {
        _left = std::make_unique<LeftResults>(LeftResults::runOf(_daemon, names));
    }

    [[nodiscard]] std::string list(std::size_t stage = 0) const
    {
        return "/api/stages/" + _left->stages[stage] + "/artifacts";
    }

    [[nodiscard]] Answer file(const std::string& path,
                              const std::map<std::string, std::string>& headers = {},
                              const std::string& method = "GET") const
    {
        return _daemon.request(method, list() + "/" + path, "", headers);
    }

    static std::string code(const Answer& answer)
    {
        return answer.json()["error"]["code"].GetString();
    }

    [[nodiscard]] int openContents() const
    {
        int found = 0;
        std::error_code gone;
        for (const auto& entry :
             fs::directory_iterator("/proc/" + std::to_string(_daemon.pid()) + "/fd"))
            if (fs::read_symlink(entry.path(), gone).string().find("/objects/") !=
                std::string::npos)
                ++found;
        return found;
    }

public:
    void testListsWhatAStageLeft()
    {
        runOnce({"build", "test"});
        _left->leave(0, {{"dist/b", "22"}, {"dist/a", "1"}, {"dist/a/b", ""}});
        _daemon.start();
        const auto files = _daemon.get(list()).json();
        CPPUNIT_ASSERT_EQUAL(3U, files.Size());
        CPPUNIT_ASSERT_EQUAL(std::string("dist/a"), std::string(files[0]["path"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("dist/a/b"), std::string(files[1]["path"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("dist/b"), std::string(files[2]["path"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("0644"), std::string(files[2]["mode"].GetString()));
        CPPUNIT_ASSERT_EQUAL(2, files[2]["size"].GetInt());
        CPPUNIT_ASSERT_EQUAL(StoredArtifacts::sha256("22"),
                             std::string(files[2]["sha256"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), _daemon.get(list(1)).body);
        CPPUNIT_ASSERT_EQUAL(3U, _daemon.get(list() + "?attempt=1").json().Size());
        CPPUNIT_ASSERT_EQUAL(400, _daemon.get(list() + "?attempt=2").status);
        const auto stage = _daemon.get("/api/stages/" + _left->stages[0]).json();
        CPPUNIT_ASSERT_EQUAL(3, stage["artifacts"]["files"].GetInt());
        CPPUNIT_ASSERT_EQUAL(3, stage["artifacts"]["bytes"].GetInt());
        const auto run = _daemon.get("/api/runs/" + _left->run).json();
        CPPUNIT_ASSERT_EQUAL(3, run["artifacts"]["files"].GetInt());
        CPPUNIT_ASSERT(run["tests"].IsNull());
    }

    void testServesAFileWholeAndInParts()
    {
        runOnce({"build"});
        _left->leave(0, {{"dist/app.bin", "0123456789"}, {"empty", ""}});
        _daemon.start();
        const auto whole = file("dist/app.bin");
        CPPUNIT_ASSERT_EQUAL(200, whole.status);
        CPPUNIT_ASSERT_EQUAL(std::string("0123456789"), whole.body);
        const std::string etag = "\"" + StoredArtifacts::sha256("0123456789") + "\"";
        CPPUNIT_ASSERT_EQUAL(etag, whole.headers.at("etag"));
        CPPUNIT_ASSERT_EQUAL(std::string("bytes"), whole.headers.at("accept-ranges"));

        const auto part = file("dist/app.bin", {{"Range", "bytes=3-5"}});
        CPPUNIT_ASSERT_EQUAL(206, part.status);
        CPPUNIT_ASSERT_EQUAL(std::string("345"), part.body);
        CPPUNIT_ASSERT_EQUAL(std::string("bytes 3-5/10"), part.headers.at("content-range"));
        CPPUNIT_ASSERT_EQUAL(std::string("89"), file("dist/app.bin", {{"Range", "bytes=-2"}}).body);
        const auto beyond = file("dist/app.bin", {{"Range", "bytes=10-"}});
        CPPUNIT_ASSERT_EQUAL(416, beyond.status);
        CPPUNIT_ASSERT_EQUAL(std::string("bytes */10"), beyond.headers.at("content-range"));
        CPPUNIT_ASSERT_EQUAL(
            206, file("dist/app.bin", {{"Range", "bytes=3-"}, {"If-Range", etag}}).status);
        CPPUNIT_ASSERT_EQUAL(
            200, file("dist/app.bin", {{"Range", "bytes=3-"}, {"If-Range", "\"x\""}}).status);

        CPPUNIT_ASSERT_EQUAL(304, file("dist/app.bin", {{"If-None-Match", etag}}).status);
        CPPUNIT_ASSERT_EQUAL(200, file("dist/app.bin", {{"If-None-Match", "\"x\""}}).status);
        CPPUNIT_ASSERT_EQUAL(std::string(), file("empty").body);
        CPPUNIT_ASSERT_EQUAL(404, file("dist").status);
        CPPUNIT_ASSERT_EQUAL(std::string("artifact_not_found"), code(file("dist/app")));
        CPPUNIT_ASSERT_EQUAL(405, file("dist/app.bin", {}, "DELETE").status);
    }

    void testABrowserGetsItInAnOriginOfItsOwn()
    {
        runOnce({"build"});
        _left->leave(0, {{"report/index.html", "<script>alert(1)</script>"},
                         {"report/picture.svg", "<svg/>"},
                         {"notes.xml", "<x/>"},
                         {"tool", "\x7f"
                                  "ELF"},
                         {"a \"ü\".zip", "PK"}});
        _daemon.start();
        const auto page = file("report/index.html");
        CPPUNIT_ASSERT_EQUAL(std::string("text/html; charset=utf-8"),
                             page.headers.at("content-type"));
        CPPUNIT_ASSERT(page.headers.at("content-disposition").starts_with("inline"));
        for (const char* path : {"report/index.html", "report/picture.svg", "notes.xml", "tool"})
        {
            const auto answer = file(path);
            const std::string policy = answer.headers.at("content-security-policy");
            CPPUNIT_ASSERT_MESSAGE(policy, policy.starts_with("sandbox; default-src 'none';"));
            CPPUNIT_ASSERT_MESSAGE(policy, policy.find("script") == std::string::npos);
            CPPUNIT_ASSERT_EQUAL(std::string("nosniff"),
                                 answer.headers.at("x-content-type-options"));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("text/plain; charset=utf-8"),
                             file("notes.xml").headers.at("content-type"));
        CPPUNIT_ASSERT_EQUAL(std::string("application/octet-stream"),
                             file("tool").headers.at("content-type"));
        CPPUNIT_ASSERT_EQUAL(std::string("attachment; filename=\"tool\""),
                             file("tool").headers.at("content-disposition"));
        CPPUNIT_ASSERT_EQUAL(
            std::string(
                "attachment; filename=\"a ____.zip\"; filename*=UTF-8''a%20%22%C3%BC%22.zip"),
            file("a%20%22%c3%bc%22.zip").headers.at("content-disposition"));
    }

    void testServesNamesThatAPathCantHold()
    {
        runOnce({"build"});
        _left->leave(0, {{"line\nend", "one"}, {"back\\slash", "two"}, {"a+b%2f", "three"}});
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(400, file("line%0aend").status);
        CPPUNIT_ASSERT_EQUAL(std::string("one"), _daemon.get(list() + "?path=line%0aend").body);
        CPPUNIT_ASSERT_EQUAL(std::string("two"), _daemon.get(list() + "?path=back%5cslash").body);
        CPPUNIT_ASSERT_EQUAL(std::string("three"), _daemon.get(list() + "?path=a%2Bb%252f").body);
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get(list() + "?path=../x").status);
    }

    void testTellsOfAFileThatIsGone()
    {
        runOnce({"build"});
        _left->leave(0, {{"a", "1"}, {"b", "2"}});
        fs::remove(_left->kept(0).content(StoredArtifacts::sha256("1")));
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(404, file("a").status);
        CPPUNIT_ASSERT_EQUAL(std::string("artifact_removed"), code(file("a")));
        CPPUNIT_ASSERT_EQUAL(std::string("2"), file("b").body);

        // Its time is over; that another run has the same content changes nothing.
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        _left->change("DELETE FROM artifact_sets");
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("artifact_removed"), code(file("b")));
        CPPUNIT_ASSERT_EQUAL(2U, _daemon.get(list()).json().Size());
        const auto archive = _daemon.get("/api/runs/" + _left->run + "/artifacts.tar.zst");
        CPPUNIT_ASSERT_EQUAL(404, archive.status);
        CPPUNIT_ASSERT_EQUAL(std::string("artifact_removed"), code(archive));
    }

    void testBelievesNoListButTheOneOnRecord()
    {
        runOnce({"build"});
        _left->leave(0, {{"a", "1"}});
        _left->kept(0).keep({{"a", "another"}}); // by a stage that is the agent's user
        _daemon.start();
        for (const std::string& path :
             {list(), list() + "/a", "/api/runs/" + _left->run + "/artifacts.tar.zst"})
        {
            const auto answer = _daemon.get(path);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 404, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("artifacts_lost"), code(answer));
        }
    }

    void testAnArchiveHoldsWhatAllStagesLeft()
    {
        runOnce({"build", "docs", "check"});
        _left->leave(0, {{"bin/app", std::string(3'000'000, 'a')}, {"bin/ü", "ü"}}, "app");
        _left->leave(2, {{"bin/app", "another"}}, "app");
        _daemon.start();
        const auto answer = _daemon.get("/api/runs/" + _left->run + "/artifacts.tar.zst");
        CPPUNIT_ASSERT_EQUAL(200, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("application/zstd"), answer.headers.at("content-type"));
        CPPUNIT_ASSERT_EQUAL("attachment; filename=\"artifacts-" + _left->run.substr(0, 8) +
                                 ".tar.zst\"",
                             answer.headers.at("content-disposition"));
        const auto out = _daemon.folder() / "out";
        agent::extract(answer.body, out);
        CPPUNIT_ASSERT_EQUAL(std::string(3'000'000, 'a'), contentOf(out / "app/bin/app"));
        CPPUNIT_ASSERT_EQUAL(std::string("ü"), contentOf(out / "app/bin/ü"));
        CPPUNIT_ASSERT_EQUAL(std::string("another"), contentOf(out / "app-2/bin/app"));

        const auto none = _daemon.submit("[" + shell("true") + "]");
        const auto refused = _daemon.get("/api/runs/" + none + "/artifacts.tar.zst");
        CPPUNIT_ASSERT_EQUAL(404, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("no_artifacts"), code(refused));
    }

    /// Clients that read nothing hold up no other request, and what is open for them is closed when they go.
    void testAnArchiveEndsWithItsClient()
    {
        runOnce({"build"});
        std::string noise(30'000'000, '\0');
        std::uint32_t state = 17;
        for (char& byte : noise)
            byte = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
        _left->leave(0, {{"noise", noise}});
        _daemon.start();
        {
            std::vector<std::unique_ptr<StreamClient>> clients;
            for (int i = 0; i < 16; ++i)
                clients.push_back(std::make_unique<StreamClient>(
                    _daemon.url(), "/api/runs/" + _left->run + "/artifacts.tar.zst", "", 4'096));
            waitFor("all to be at the content", [&] { return openContents() == 16; });
            CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs/" + _left->run).status);
            CPPUNIT_ASSERT_EQUAL(noise.substr(0, 3), file("noise", {{"Range", "bytes=0-2"}}).body);
        }
        waitFor("the contents to be closed", [&] { return openContents() == 0; });
    }

    void testTellsWhichTestsFailed()
    {
        runOnce({"unit", "more"});
        _left->leaveResults(
            0,
            R"({"version":1,"total":412,"failed":3,"skipped":1,"durationMs":1500,"files":2,
                        "refused":[{"file":"bomb.xml","why":"declares entities"}],
                        "failures":[{"kind":"failure","suite":"s","class":"c","name":"adds","file":"a.py","line":7,
                        "durationMs":12,"message":"3 != 4","details":"at a.py"}],"truncated":true})",
            412, 3);
        _left->leaveResults(1, R"({"version":1,"total":2,"failed":0,"skipped":1,"failures":[]})", 2,
                            0);
        _daemon.start();
        const auto results = _daemon.get("/api/runs/" + _left->run + "/tests").json();
        CPPUNIT_ASSERT_EQUAL(414, results["total"].GetInt());
        CPPUNIT_ASSERT_EQUAL(3, results["failed"].GetInt());
        CPPUNIT_ASSERT_EQUAL(2, results["skipped"].GetInt());
        CPPUNIT_ASSERT_EQUAL(2U, results["stages"].Size());
        const auto& stage = results["stages"][0];
        CPPUNIT_ASSERT_EQUAL(_left->stages[0], std::string(stage["stageId"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("unit"), std::string(stage["name"].GetString()));
        CPPUNIT_ASSERT_EQUAL(1500, stage["durationMs"].GetInt());
        CPPUNIT_ASSERT_EQUAL(std::string("declares entities"),
                             std::string(stage["refused"][0]["why"].GetString()));
        const auto& failure = stage["failures"][0];
        CPPUNIT_ASSERT_EQUAL(std::string("adds"), std::string(failure["name"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("3 != 4"), std::string(failure["message"].GetString()));
        CPPUNIT_ASSERT_EQUAL(7, failure["line"].GetInt());
        CPPUNIT_ASSERT(stage["truncated"].GetBool());

        const auto run = _daemon.get("/api/runs/" + _left->run).json();
        CPPUNIT_ASSERT_EQUAL(414, run["tests"]["total"].GetInt());
        CPPUNIT_ASSERT_EQUAL(3, run["tests"]["failed"].GetInt());
        CPPUNIT_ASSERT_EQUAL(3, _daemon.get("/api/runs").json()[0]["tests"]["failed"].GetInt());
        CPPUNIT_ASSERT_EQUAL(
            412, _daemon.get("/api/stages/" + _left->stages[0]).json()["tests"]["total"].GetInt());
        const auto none = _daemon.submit("[" + shell("true") + "]");
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"total":0,"failed":0,"skipped":0,"stages":[]})"),
                             _daemon.get("/api/runs/" + none + "/tests").body);
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get("/api/runs/" + _left->stages[0] + "/tests").status);
    }

    void testMasksSecretsInWhatTestsPrinted()
    {
        _daemon.writeSecret("TOKEN", "hunter2-hunter2");
        _daemon.writeService("shop",
                             "name: shop\nsecrets: [TOKEN]\nstages:\n"
                             "  - { type: BUILD, plugin: shell, with: { command: 'true' } }\n");
        _daemon.start();
        _left = std::make_unique<LeftResults>(
            LeftResults::ended(_daemon, _daemon.submitService("shop")));
        _left->leaveResults(
            0,
            R"({"total":1,"failed":1,"skipped":0,"failures":[{"kind":"failure","suite":"","class":"","name":"logs in",
                        "file":"","message":"hunter2-hunter2 is wrong","details":"was hunter2-hunter2\u0000, so"}]})",
            1, 1);
        _daemon.start();
        const auto answer = _daemon.get("/api/runs/" + _left->run + "/tests");
        CPPUNIT_ASSERT_MESSAGE(answer.body, answer.body.find("hunter2") == std::string::npos);
        const auto results = answer.json();
        const auto& failure = results["stages"][0]["failures"][0];
        CPPUNIT_ASSERT_EQUAL(std::string("logs in"), std::string(failure["name"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("*** is wrong"),
                             std::string(failure["message"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("was ***, so"),
                             std::string(failure["details"].GetString()));
    }

    /// The file is as the stage could have left it, or gone: the counts are on record.
    void testLostResultsLeaveTheCounts()
    {
        runOnce({"unit"});
        for (const std::string& lost : {std::string("nonsense"), std::string("[]"),
                                        std::string(R"({"failures":[1,{"name":2}],"files":"x"})"),
                                        std::string(2'000'000, ' ')})
        {
            _left->leaveResults(0, lost, 412, 3);
            _daemon.start();
            const auto results = _daemon.get("/api/runs/" + _left->run + "/tests").json();
            CPPUNIT_ASSERT_EQUAL(412, results["total"].GetInt());
            CPPUNIT_ASSERT_EQUAL(3, results["stages"][0]["failed"].GetInt());
            CPPUNIT_ASSERT(results["stages"][0]["files"].IsNull());
            CPPUNIT_ASSERT(results["stages"][0]["truncated"].GetBool());
            CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        }
    }

    void testARunThatIsKeptDoesNotAge()
    {
        _daemon.set("runs.keep_count", "1");
        _daemon.start();
        const auto ended = [&]
        {
            const auto run = _daemon.submit("[" + shell("true") + "]");
            _daemon.waitForRun(run, "SUCCESS");
            return run;
        };
        const auto kept = ended();
        CPPUNIT_ASSERT(!_daemon.get("/api/runs/" + kept).json()["kept"].GetBool());
        CPPUNIT_ASSERT_EQUAL(200, _daemon.patch("/api/runs/" + kept, R"({"kept":true})").status);
        CPPUNIT_ASSERT(_daemon.get("/api/runs/" + kept).json()["kept"].GetBool());
        CPPUNIT_ASSERT_EQUAL(400, _daemon.patch("/api/runs/" + kept, R"({"kept":1})").status);
        const auto second = ended();
        const auto third = ended();
        waitFor("the second run to go",
                [&] { return _daemon.get("/api/runs/" + second).status == 404; });
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs/" + third).status);
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs/" + kept).status);
        CPPUNIT_ASSERT_EQUAL(200, _daemon.patch("/api/runs/" + kept, R"({"kept":false})").status);
        waitFor("the first run to go, which is one too many now",
                [&] { return _daemon.get("/api/runs/" + kept).status == 404; });
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs/" + third).status);
    }

    /// From the command to the client, with nothing laid down by a test.
    void testServesWhatARunLeft()
    {
        _daemon.start();
        const auto run = _daemon.submit(agent::test::listOf({shell(
            "mkdir -p dist reports; printf hello >dist/app; chmod 750 dist/app; echo "
            "'<testsuite><testcase name=\"adds\"><failure message=\"3 != 4\"/></testcase>"
            "<testcase/></testsuite>' >reports/a.xml; exit 3",
            R"("artifacts":{"paths":["dist/**"],"name":"app","when":"always"},"reports":{"junit":["reports/*.xml"]})")}));
        _daemon.waitForRun(run, "FAILURE");
        const auto stage = _daemon.stagesOf(run)[0];
        const auto files = _daemon.get("/api/stages/" + stage + "/artifacts").json();
        CPPUNIT_ASSERT_EQUAL(1U, files.Size());
        CPPUNIT_ASSERT_EQUAL(std::string("0750"), std::string(files[0]["mode"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("hello"),
                             _daemon.get("/api/stages/" + stage + "/artifacts/dist/app").body);
        const auto out = _daemon.folder() / "out";
        agent::extract(_daemon.get("/api/runs/" + run + "/artifacts.tar.zst").body, out);
        CPPUNIT_ASSERT_EQUAL(std::string("hello"), contentOf(out / "app/dist/app"));
        const auto results = _daemon.get("/api/runs/" + run + "/tests").json();
        CPPUNIT_ASSERT_EQUAL(2, results["total"].GetInt());
        CPPUNIT_ASSERT_EQUAL(std::string("adds"),
                             std::string(results["stages"][0]["failures"][0]["name"].GetString()));
        CPPUNIT_ASSERT_EQUAL(1, _daemon.get("/api/runs/" + run).json()["tests"]["failed"].GetInt());
    }

    void testArtifactsOfARunThatIsKeptStay()
    {
        _daemon.set("artifacts.keep", "2s");
        _daemon.start();
        const auto left = [&]
        {
            const auto run = _daemon.submit(
                "[" + shell("date +%N >app; cat app", R"("artifacts":["app"])") + "]");
            _daemon.waitForRun(run, "SUCCESS");
            return run;
        };
        const auto kept = left();
        CPPUNIT_ASSERT_EQUAL(200, _daemon.patch("/api/runs/" + kept, R"({"kept":true})").status);
        const auto status = [&](const std::string& run) {
            return _daemon.get("/api/stages/" + _daemon.stagesOf(run)[0] + "/artifacts/app").status;
        };
        const auto other = left();
        waitFor("those of the other run to go", [&] { return status(other) == 404; });
        CPPUNIT_ASSERT_EQUAL(200, status(kept));
        CPPUNIT_ASSERT_EQUAL(200, _daemon.patch("/api/runs/" + kept, R"({"kept":false})").status);
        waitFor("its own to go", [&] { return status(kept) == 404; });
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ArtifactsApiTest);
