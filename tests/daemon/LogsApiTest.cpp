// What a stage said, read in every way the API has: whole, in part, with times, as lines, as it is written.
#include "tests/support/Daemon.h"
#include "tests/support/Stages.h"
#include "tests/support/StreamClient.h"

#include "agent/model/Timestamp.h"
#include "agent/store/CompressedLog.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <memory>
#include <thread>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::RawClient;
using agent::test::shimOf;
using agent::test::StreamClient;
using agent::test::waitFor;

class LogsApiTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LogsApiTest);
    CPPUNIT_TEST(testFollowsLiveToTheEnd);
    CPPUNIT_TEST(testFollowsFromBeforeTheStageStarts);
    CPPUNIT_TEST(testFollowsOverARetry);
    CPPUNIT_TEST(testFollowsFromAByteOn);
    CPPUNIT_TEST(testFollowOfOneAttemptEndsWithIt);
    CPPUNIT_TEST(testFollowEndsWithAStageThatNeverStarts);
    CPPUNIT_TEST(testEveryOfManyFollowersGetsEveryLine);
    CPPUNIT_TEST(testSlowReaderDoesNotDelayOthers);
    CPPUNIT_TEST(testTimestampsOfWholeAndPart);
    CPPUNIT_TEST(testFollowsWithTimestamps);
    CPPUNIT_TEST(testPagesThroughLinesByAfter);
    CPPUNIT_TEST(testFindsTheLinesThatHoldAText);
    CPPUNIT_TEST(testLinesBeginWithTheFirstAttempt);
    CPPUNIT_TEST(testLogBytesGrowWhileTheStageRuns);
    CPPUNIT_TEST(testLinesTellTheirStream);
    CPPUNIT_TEST(testMergedLinesAreInOrderAndOfStdout);
    CPPUNIT_TEST(testUnfinishedLineCountsWhenTheStageEnded);
    CPPUNIT_TEST(testAnyBytesAreSafeInJson);
    CPPUNIT_TEST(testCompressedLogReadsTheSame);
    CPPUNIT_TEST(testRefusesWhatItDoesNotKnow);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.start(); }

    void testFollowsLiveToTheEnd()
    {
        const auto id = started("echo one; while test ! -e go; do sleep 0.05; done; echo two");
        StreamClient client(_daemon.url(), log(id, "?follow=1"));
        // A proxy such as nginx would keep lines back until it has 4 KiB.
        CPPUNIT_ASSERT_MESSAGE(client.head,
                               client.head.find("X-Accel-Buffering: no") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(200, client.status);
        CPPUNIT_ASSERT_EQUAL(std::string("one\n"), client.untilText("one\n"));
        go();
        CPPUNIT_ASSERT_EQUAL(std::string("one\ntwo\n"), client.all());
    }

    void testFollowsFromBeforeTheStageStarts()
    {
        const auto run =
            _daemon.submit("[" + stage("while test ! -e go; do sleep 0.05; done", "BUILD") + "," +
                           stage("echo late") + "]");
        const auto id = _daemon.stagesOf(run)[1];
        StreamClient client(_daemon.url(), log(id, "?follow=1"));
        _run = run;
        go();
        CPPUNIT_ASSERT_EQUAL(std::string("late\n"), client.all());
    }

    void testFollowsOverARetry()
    {
        const auto run = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","with":{"command":"echo try $STAGE_ATTEMPT; sleep 0.2; test $STAGE_ATTEMPT = 3"},"retry":{"attempts":3,"delay":"200ms"}}])");
        StreamClient client(_daemon.url(), log(_daemon.stagesOf(run)[0], "?follow=1&attempt=9"));
        CPPUNIT_ASSERT_EQUAL(400, client.status);
        StreamClient follower(_daemon.url(), log(_daemon.stagesOf(run)[0], "?follow=1"));
        CPPUNIT_ASSERT_EQUAL(std::string("try 1\ntry 2\ntry 3\n"), follower.all());
        _daemon.waitForRun(run, "SUCCESS");
    }

    void testFollowsFromAByteOn()
    {
        const auto id = ended("printf 0123456789");
        CPPUNIT_ASSERT_EQUAL(std::string("456789"), followed(id, "Range: bytes=4-\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::string(""), followed(id, "Range: bytes=10-\r\n"));
        StreamClient beyond(_daemon.url(), log(id, "?follow=1"), "Range: bytes=11-\r\n");
        CPPUNIT_ASSERT_EQUAL(416, beyond.status);
        StreamClient bounded(_daemon.url(), log(id, "?follow=1"), "Range: bytes=2-4\r\n");
        CPPUNIT_ASSERT_EQUAL(400, bounded.status);
    }

    void testFollowOfOneAttemptEndsWithIt()
    {
        const auto run = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","with":{"command":"echo try $STAGE_ATTEMPT; test $STAGE_ATTEMPT = 2"},"retry":{"attempts":2,"delay":"30s"}}])");
        const auto id = _daemon.stagesOf(run)[0];
        waitFor("the first attempt", [&] { return _daemon.detail(id, "attempt") == "1"; });
        StreamClient client(_daemon.url(), log(id, "?follow=1&attempt=1"));
        CPPUNIT_ASSERT_EQUAL(std::string("try 1\n"), client.all());
    }

    void testFollowEndsWithAStageThatNeverStarts()
    {
        const auto run =
            _daemon.submit("[" + stage("sleep 0.3; exit 1", "BUILD") + "," + stage("true") + "]");
        StreamClient client(_daemon.url(), log(_daemon.stagesOf(run)[1], "?follow=1"));
        CPPUNIT_ASSERT_EQUAL(std::string(""), client.all());
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(run));
    }

    void testEveryOfManyFollowersGetsEveryLine()
    {
        const auto id = started("while test ! -e go; do sleep 0.05; done; " + count(3000));
        std::vector<std::unique_ptr<StreamClient>> clients;
        for (int i = 0; i < 200; ++i)
            clients.push_back(std::make_unique<StreamClient>(_daemon.url(), log(id, "?follow=1")));
        const int threads = threadsOf(_daemon.pid());
        go();
        for (const auto& client : clients)
            CPPUNIT_ASSERT(client->all() == counted(3000));
        CPPUNIT_ASSERT(threads < 60);
    }

    void testSlowReaderDoesNotDelayOthers()
    {
        const auto id =
            started("while test ! -e go; do sleep 0.05; done; yes 0123456789 | head -c 20000000");
        StreamClient slow(_daemon.url(), log(id, "?follow=1"), "", 4096);
        StreamClient slowEvents(_daemon.url(), "/api/events?stageId=" + id, "", 4096);
        StreamClient quick(_daemon.url(), log(id, "?follow=1"));
        go();
        CPPUNIT_ASSERT_EQUAL(std::size_t(20'000'000), quick.all().size());
        _daemon.waitForStage(id, "SUCCESS");
        CPPUNIT_ASSERT(rssKib(_daemon.pid()) < 65'536 * sanitizerFactor());
        CPPUNIT_ASSERT_EQUAL(std::size_t(20'000'000), slow.all().size());
    }

    void testTimestampsOfWholeAndPart()
    {
        const auto id = ended("echo one; sleep 0.1; echo two >&2; printf three", "separate");
        const std::string all = get(id, "?timestamps=1");
        std::string bare;
        for (std::size_t at = 0, end = 0; at < all.size(); at = end)
        {
            end = std::min(all.find('\n', at), all.size() - 1) + 1;
            CPPUNIT_ASSERT_MESSAGE(all,
                                   agent::parseTime(all.substr(at, 24)) && all[at + 24] == ' ');
            bare += all.substr(at + 25, end - at - 25);
        }
        CPPUNIT_ASSERT_EQUAL(std::string("one\ntwo\nthree"), bare);
        const auto first =
            _daemon.request("GET", log(id, "?timestamps=1"), "", {{"Range", "bytes=0-5"}});
        const auto second =
            _daemon.request("GET", log(id, "?timestamps=1"), "", {{"Range", "bytes=6-"}});
        CPPUNIT_ASSERT_EQUAL(206, first.status);
        CPPUNIT_ASSERT_EQUAL(std::string("bytes 6-12/13"), second.headers.at("content-range"));
        CPPUNIT_ASSERT_EQUAL(all, first.body + second.body);
        RawClient old(_daemon.url());
        old.send("GET " + log(id, "?timestamps=1") +
                 " HTTP/1.0\r\nHost: " + _daemon.url().substr(7) + "\r\n" +
                 agent::test::authorizationFor(_daemon.url()) + "\r\n");
        CPPUNIT_ASSERT(old.receiveAll().ends_with("\r\n\r\n" + all));
    }

    void testFollowsWithTimestamps()
    {
        const auto id = started("while test ! -e go; do sleep 0.05; done; " + count(2000));
        StreamClient client(_daemon.url(), log(id, "?follow=1&timestamps=1"));
        go();
        const std::string text = client.all();
        _daemon.waitForStage(id, "SUCCESS");
        CPPUNIT_ASSERT(text == get(id, "?timestamps=1"));
    }

    void testPagesThroughLinesByAfter()
    {
        const auto id = ended(count(10'500));
        std::string after;
        int number = 0;
        std::int64_t score = 0;
        for (const int expected : {4000, 4000, 2500, 0})
        {
            const auto page = _daemon.get("/api/logs?stageId=" + id + "&limit=4000" + after).json();
            CPPUNIT_ASSERT_EQUAL(expected, static_cast<int>(page.Size()));
            for (const auto& line : page.GetArray())
            {
                CPPUNIT_ASSERT_EQUAL("line " + std::to_string(++number),
                                     std::string(line["message"].GetString()));
                CPPUNIT_ASSERT(line["score"].GetInt64() >= score);
                score = line["score"].GetInt64();
                after = std::string("&after=") + line["id"].GetString();
            }
        }
        const auto first = _daemon.get("/api/logs?stageId=" + id).json();
        CPPUNIT_ASSERT_EQUAL(1000, static_cast<int>(first.Size()));
        CPPUNIT_ASSERT_EQUAL(6, static_cast<int>(first[0].MemberCount()));
    }

    void testFindsTheLinesThatHoldAText()
    {
        const auto id =
            ended(count(10'500) + R"(; printf '\\033[31mLi\\033[1mne\\033[0m 99 in red')");
        const std::string target = "/api/logs?stageId=" + id + "&search=LINE+99";
        const auto all = _daemon.get(target);
        CPPUNIT_ASSERT_EQUAL(std::string("10501"), all.headers.at("line-count"));
        // 99, 990 to 999, 9900 to 9999, and the one in red without a line end.
        const auto lines = all.json();
        CPPUNIT_ASSERT_EQUAL(112, static_cast<int>(lines.Size()));
        CPPUNIT_ASSERT_EQUAL(std::string("1.99"), std::string(lines[0]["id"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("1.10501"), std::string(lines[111]["id"].GetString()));
        const auto next = _daemon.get(target + "&limit=2&after=1.990").json();
        CPPUNIT_ASSERT_EQUAL(2, static_cast<int>(next.Size()));
        CPPUNIT_ASSERT_EQUAL(std::string("line 992"), std::string(next[1]["message"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("[]"),
                             _daemon.get("/api/logs?search=none&stageId=" + id).body);
    }

    void testLinesTellTheirStream()
    {
        const auto id = ended("for i in 1 2 3 4 5; do echo out; sleep 0.02; echo err >&2; "
                              "sleep 0.02; done",
                              "separate");
        const auto lines = _daemon.get("/api/logs?stageId=" + id).json();
        CPPUNIT_ASSERT_EQUAL(10, static_cast<int>(lines.Size()));
        for (const auto& line : lines.GetArray())
        {
            const bool out = std::string(line["message"].GetString()) == "out";
            CPPUNIT_ASSERT_EQUAL(std::string(out ? "stdout" : "stderr"),
                                 std::string(line["type"].GetString()));
            CPPUNIT_ASSERT_EQUAL(id, std::string(line["stageId"].GetString()));
        }
    }

    /// Merged is what a stage has that says nothing.
    void testMergedLinesAreInOrderAndOfStdout()
    {
        _run = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","with":{"command":)"
            R"("for i in 1 2 3 4 5; do echo out $i; sh -c \"echo err $i >&2\"; done"}}])");
        _daemon.waitForRun(_run, "SUCCESS");
        const auto lines = _daemon.get("/api/logs?stageId=" + _daemon.stagesOf(_run)[0]).json();
        std::string told;
        for (const auto& line : lines.GetArray())
            told += std::string(line["type"].GetString()) + ' ' + line["message"].GetString() + ';';
        std::string expected;
        for (const char* i : {"1", "2", "3", "4", "5"})
            expected += "stdout out " + std::string(i) + ";stdout err " + i + ';';
        CPPUNIT_ASSERT_EQUAL(expected, told);
    }

    void testLinesBeginWithTheFirstAttempt()
    {
        const auto run = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","with":{"command":"echo try $STAGE_ATTEMPT; test $STAGE_ATTEMPT = 3"},"retry":{"attempts":3}}])");
        _daemon.waitForRun(run, "SUCCESS");
        const auto id = _daemon.stagesOf(run)[0];
        std::string reported;
        const auto lines = _daemon.get("/api/logs?stageId=" + id).json();
        for (const auto& line : lines.GetArray())
            reported +=
                std::string(line["id"].GetString()) + " " + line["message"].GetString() + "; ";
        CPPUNIT_ASSERT_EQUAL(std::string("1.1 try 1; 2.1 try 2; 3.1 try 3; "), reported);
    }

    void testLogBytesGrowWhileTheStageRuns()
    {
        const auto id = started("echo four; while test ! -e go; do sleep 0.05; done");
        waitFor("its bytes", [&] { return _daemon.detail(id, "logBytes") == "5"; });
        ::kill(shimOf(attemptFolder()), SIGKILL);
        _daemon.waitForStage(id, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("5"), _daemon.detail(id, "logBytes")); // SHIM_LOST
    }

    void testUnfinishedLineCountsWhenTheStageEnded()
    {
        const auto id = started("echo whole; printf half; while test ! -e go; do sleep 0.05; done");
        waitFor("its bytes", [&] { return get(id, "") == "whole\nhalf"; });
        const std::string lines = "/api/logs?stageId=" + id;
        CPPUNIT_ASSERT_EQUAL(1, static_cast<int>(_daemon.get(lines).json().Size()));
        go();
        _daemon.waitForStage(id, "SUCCESS");
        const auto all = _daemon.get(lines).json();
        CPPUNIT_ASSERT_EQUAL(2, static_cast<int>(all.Size()));
        CPPUNIT_ASSERT_EQUAL(std::string("half"), std::string(all[1]["message"].GetString()));
    }

    void testAnyBytesAreSafeInJson()
    {
        const auto id = ended(R"(printf 'a\\377b\\033[31m\\000\\r\\302\\205\\342\\200\\250\\n')");
        const std::string bytes("a\xff"
                                "b\x1b[31m\0\r\xc2\x85\xe2\x80\xa8\n",
                                16);
        CPPUNIT_ASSERT(get(id, "") == bytes);
        CPPUNIT_ASSERT(followed(id, "") == bytes);
        const auto lines = _daemon.get("/api/logs?stageId=" + id).json();
        const auto& message = lines[0]["message"];
        CPPUNIT_ASSERT(std::string(message.GetString(), message.GetStringLength()) ==
                       std::string("a\xef\xbf\xbd"
                                   "b\x1b[31m\0\r\xc2\x85\xe2\x80\xa8",
                                   17));
        StreamClient stream(_daemon.url(), "/api/events?stageId=" + id);
        const auto events = stream.events([](const auto& event) { return event.name == "log"; });
        const std::string& data = events.back().data;
        CPPUNIT_ASSERT(data.find('\r') == std::string::npos);
        CPPUNIT_ASSERT(data.find(R"(b\u001B[31m\u0000\r)") != std::string::npos);
    }

    void testCompressedLogReadsTheSame()
    {
        const auto id = ended(count(30'000));
        const std::vector<std::string> ways{"?timestamps=1", ""};
        std::vector<std::string> before;
        for (const auto& way : ways)
            before.push_back(get(id, way));
        const std::string lines = "/api/logs?stageId=" + id + "&after=1.20000&limit=10000";
        before.push_back(_daemon.get(lines).body);
        agent::compressLog(attemptFolder());
        CPPUNIT_ASSERT(!std::filesystem::exists(attemptFolder() / "log"));
        for (std::size_t i = 0; i < ways.size(); ++i)
            CPPUNIT_ASSERT(get(id, ways[i]) == before[i]);
        CPPUNIT_ASSERT(_daemon.get(lines).body == before[2]);
        CPPUNIT_ASSERT(followed(id, "") == before[1]);
        const auto part = _daemon.request("GET", log(id, ""), "", {{"Range", "bytes=5-100000"}});
        CPPUNIT_ASSERT_EQUAL(206, part.status);
        CPPUNIT_ASSERT_EQUAL(std::string("99996"), part.headers.at("content-length"));
        CPPUNIT_ASSERT(part.body == before[1].substr(5, 99'996));
    }

    void testRefusesWhatItDoesNotKnow()
    {
        const auto id = ended("echo x");
        for (const std::string& query :
             {std::string("?stageId=nonsense"), std::string(), "?limit=0&stageId=" + id,
              "?limit=10001&stageId=" + id, "?after=x&stageId=" + id, "?after=1.2&stageId=" + id,
              "?after=2.0&stageId=" + id, "?attempt=2&stageId=" + id})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(query, 400, _daemon.get("/api/logs" + query).status);
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/logs?after=1.1&stageId=" + id).status);
        CPPUNIT_ASSERT_EQUAL(400, _daemon.get(log(id, "?follow=2")).status);
        const std::string unknown = "3f2b8d0c-58a5-4a53-9f0a-1c2d3e4f5a6b";
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get("/api/logs?stageId=" + unknown).status);
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get(log(unknown, "?follow=1")).status);
    }

private:
    static std::string stage(const std::string& command, const std::string& type = "OTHER",
                             const std::string& output = "merged")
    {
        return R"({"type":")" + type + R"(","plugin":"shell","with":{"command":")" + command +
               R"("},"output":")" + output + "\"}";
    }

    static std::string count(int lines)
    {
        return "i=0; while test $i -lt " + std::to_string(lines) +
               "; do i=$((i+1)); echo line $i; done";
    }

    static std::string counted(int lines)
    {
        std::string text;
        for (int i = 1; i <= lines; ++i)
            text += "line " + std::to_string(i) + "\n";
        return text;
    }

    static std::string log(const std::string& id, const std::string& query)
    {
        return "/api/stages/" + id + "/log" + query;
    }

    std::string get(const std::string& id, const std::string& query) const
    {
        return _daemon.get(log(id, query)).body;
    }

    std::string followed(const std::string& id, const std::string& headers) const
    {
        return StreamClient(_daemon.url(), log(id, "?follow=1"), headers).all();
    }

    /// Shape: the id of the run's one stage.
    std::string started(const std::string& command, const std::string& output = "merged")
    {
        _run = _daemon.submit("[" + stage(command, "BUILD", output) + "]");
        auto id = _daemon.stagesOf(_run)[0];
        waitFor("its log", [this] { return std::filesystem::exists(attemptFolder() / "log.idx"); });
        return id;
    }

    std::string ended(const std::string& command, const std::string& output = "merged")
    {
        auto id = started(command, output);
        _daemon.waitForStage(id, "SUCCESS");
        return id;
    }

    /// What started commands wait for.
    void go() const
    {
        const auto workspace = runFolder() / "workspace";
        waitFor("the workspace", [&] { return std::filesystem::exists(workspace); });
        std::ofstream(workspace / "go") << 'x';
    }

    [[nodiscard]] std::filesystem::path runFolder() const
    {
        return _daemon.state() / "runs" / _run.substr(0, 2) / _run;
    }

    [[nodiscard]] std::filesystem::path attemptFolder() const
    {
        return runFolder() / "0-BUILD" / "1";
    }

    static long statusField(int pid, const std::string& name)
    {
        const std::string status = contentOf("/proc/" + std::to_string(pid) + "/status");
        return std::atol(status.c_str() + status.find(name) + name.size());
    }

    static int threadsOf(int pid) { return static_cast<int>(statusField(pid, "Threads:")); }
    static long rssKib(int pid) { return statusField(pid, "VmRSS:"); }

    /// Sanitizers keep shadow memory.
    static long sanitizerFactor()
    {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        return 20;
#else
        return 1;
#endif
    }

    Daemon _daemon;
    std::string _run;
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogsApiTest);
