// What is over goes when its time has come, whole, and nothing else goes with it.
#include "tests/support/Daemon.h"
#include "tests/support/RawClient.h"
#include "tests/support/Tokens.h"

#include "agent/model/Id.h"
#include "agent/model/Timestamp.h"
#include "agent/store/History.h"
#include "agent/store/RunStore.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <linux/fs.h>
#include <random>
#include <regex>
#include <thread>

using agent::Database;
using agent::test::Answer;
using agent::test::Daemon;
using agent::test::RawClient;
using agent::test::waitFor;

namespace fs = std::filesystem;

namespace
{

std::int64_t rows(Database& record, const char* sql)
{
    agent::Statement query = record.writer().prepareOnce(sql);
    query.step();
    return query.integer();
}

} // namespace

class RetentionTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RetentionTest);
    CPPUNIT_TEST(testAnOldRunGoesWithAllThatIsItsOwn);
    CPPUNIT_TEST(testARunGoesWhenItsTimeHasComeWithoutARequest);
    CPPUNIT_TEST(testTheNewestRunsStayWhereTheyAreCounted);
    CPPUNIT_TEST(testARunThatHasNotEndedStays);
    CPPUNIT_TEST(testAClockThatLeaptSinceTheLastChangeRemovesNoRun);
    CPPUNIT_TEST(testAStartWithAnUnsynchronisedClockRemovesNoRun);
    CPPUNIT_TEST(testManyRunsGoWhileTheAgentAnswers);
    CPPUNIT_TEST(testKilledInBetweenLeavesNoRowWithoutFilesNorFilesForEver);
    CPPUNIT_TEST(testWorkspaceGoesAndTheFailedStageCannotBeTriedAgain);
    CPPUNIT_TEST(testARunThatIsTriedAgainKeepsItsWorkspace);
    CPPUNIT_TEST(testRacingSwapperInAWorkspaceStaysInside);
    CPPUNIT_TEST(testCompressedLogsReadTheSame);
    CPPUNIT_TEST(testAReaderInTheMiddleOfALogReadsOn);
    CPPUNIT_TEST(testZeroKeepsAll);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAnOldRunGoesWithAllThatIsItsOwn()
    {
        _daemon.start();
        const Answer made =
            _daemon.request("POST", "/api/runs", R"({"pipeline":{"stages":)" + one("true") + "}}",
                            {{"Idempotency-Key", "k"}});
        CPPUNIT_ASSERT_EQUAL(201, made.status);
        const std::string run = made.json()["id"].GetString();
        _daemon.waitForRun(run, "SUCCESS");
        const auto failed = _daemon.submit(one("false"));
        _daemon.waitForRun(failed, "FAILURE");
        restartWith("runs.keep", "1ms");
        for (const auto& id : {run, failed})
        {
            waitFor("the run to go", [&] { return _daemon.get("/api/runs/" + id).status == 404; });
            waitFor("its files to go", [&] { return !fs::exists(folderOf(id)); });
            CPPUNIT_ASSERT_EQUAL(std::string("[]"), _daemon.get("/api/stages?runId=" + id).body);
        }
        waitForEmptyTrash();
        // As after DELETE: the key does not start the same work twice.
        CPPUNIT_ASSERT_EQUAL(409, _daemon
                                      .request("POST", "/api/runs",
                                               R"({"pipeline":{"stages":)" + one("true") + "}}",
                                               {{"Idempotency-Key", "k"}})
                                      .status);
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        Database record(_daemon.state() / "record.db");
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), rows(record, "SELECT COUNT(*) FROM runs"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), rows(record, "SELECT COUNT(*) FROM stages"));
        const auto history = agent::History(record.writer()).ofRun(failed);
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), history.size());
        CPPUNIT_ASSERT_EQUAL(std::string("agent"), history[0].actor);
        CPPUNIT_ASSERT_EQUAL(std::string("older than runs.keep"), history[0].reason);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(2), rows(record, "SELECT COUNT(*) FROM history"));
    }

    void testARunGoesWhenItsTimeHasComeWithoutARequest()
    {
        _daemon.set("runs.keep", "300ms");
        _daemon.start();
        const auto marker = _daemon.folder() / "ran";
        const auto run = _daemon.submit(one("echo x >> " + marker.string()));
        waitFor("its files to come", [&] { return fs::exists(marker); });
        waitFor("its files to go", [&] { return !fs::exists(folderOf(run)); });
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get("/api/runs/" + run).status);
    }

    void testTheNewestRunsStayWhereTheyAreCounted()
    {
        _daemon.set("runs.keep_count", "2");
        _daemon.start();
        std::vector<std::string> runs;
        for (int i = 0; i < 5; ++i)
        {
            runs.push_back(_daemon.submit(one("echo x")));
            _daemon.waitForRun(runs.back(), "SUCCESS");
        }
        for (std::size_t i = 0; i < 3; ++i)
            waitFor("an old run to go",
                    [&] {
                        return _daemon.get("/api/runs/" + runs[i]).status == 404 &&
                               !fs::exists(folderOf(runs[i]));
                    });
        for (std::size_t i = 3; i < 5; ++i)
            CPPUNIT_ASSERT_EQUAL(std::string("x\n"), _daemon.log(_daemon.stagesOf(runs[i])[0]));
    }

    void testARunThatHasNotEndedStays()
    {
        _daemon.set("executor.slots", "1");
        _daemon.start();
        const auto go = _daemon.folder() / "go";
        const auto running =
            _daemon.submit(one("while test ! -e " + go.string() + "; do sleep 0.05; done"));
        _daemon.waitForRun(running, "IN_PROGRESS");
        const auto waiting = _daemon.submit(one("true"));
        _daemon.set("runs.keep_count", "1");
        restartWith("runs.keep", "1ms");
        const auto external =
            _daemon.submit(R"([{"type":"OTHER","plugin":"external"}])"); // never ends by itself
        for (const auto& id : {running, waiting, external})
            CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs/" + id).status);
        CPPUNIT_ASSERT(fs::exists(folderOf(running) / "workspace"));
        std::ofstream(go) << "x";
        for (const auto& id : {running, waiting})
            waitFor("it to end and go",
                    [&] { return _daemon.get("/api/runs/" + id).status == 404; });
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs/" + external).status);
    }

    /// Symptom: after a start with a clock that was years ahead all runs were gone. Bound: what has its age by
    /// the number of runs still goes, and is told.
    void testAClockThatLeaptSinceTheLastChangeRemovesNoRun()
    {
        const auto made = makeRecord(3, false);
        _daemon.set("runs.keep", "1d");
        _daemon.set("workspace.keep", "1d");
        _daemon.start();
        for (int i = 0; i < 2; ++i)
            _daemon.waitForRun(_daemon.submit(one("true")), "SUCCESS");
        for (const auto& id : made)
        {
            CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs/" + id).status);
            CPPUNIT_ASSERT(fs::exists(folderOf(id) / "workspace/file"));
        }
        CPPUNIT_ASSERT(_daemon.output().find("nothing is removed for its age") !=
                       std::string::npos);
        restartWith("runs.keep_count", "2");
        for (const auto& id : made)
            waitFor("the journal",
                    [&]
                    {
                        return std::regex_search(_daemon.output(),
                                                 std::regex("run " + id +
                                                            " of [^ ]+ removed: more "
                                                            "than runs.keep_count"));
                    });
    }

    /// Symptom: a host without a clock battery starts with a wrong time, and runs are removed for it before the
    /// first answer of a time server. Bound: with a clock that the kernel calls synchronised they go.
    void testAStartWithAnUnsynchronisedClockRemovesNoRun()
    {
        _daemon.start();
        const auto run = _daemon.submit(one("true"));
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        {
            Database record(_daemon.state() / "record.db"); // all of it happened two hours ago
            for (const char* sql : {"UPDATE history SET at = at - 7200000",
                                    "UPDATE runs SET ended_at = ended_at - 7200000"})
                record.writer().prepareOnce(sql).step();
        }
        _daemon.set("runs.keep", "1h");
        _daemon.setEnvironment("LD_PRELOAD",
                               STAGE_AGENT_BIN_DIR "/../test-programs/unsynchronised.so");
        _daemon.setEnvironment("ASAN_OPTIONS", "verify_asan_link_order=0");
        _daemon.start();
        _daemon.waitForRun(_daemon.submit(one("true")), "SUCCESS"); // retention has looked
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs/" + run).status);
        _daemon.setEnvironment("LD_PRELOAD", "");
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        _daemon.start();
        waitFor("the run to go", [&] { return _daemon.get("/api/runs/" + run).status == 404; });
    }

    void testManyRunsGoWhileTheAgentAnswers()
    {
        const auto made = makeRecord(500);
        _daemon.set("runs.keep_count", "10");
        _daemon.start();
        _daemon.waitForRun(_daemon.submit(one("true")), "SUCCESS");
        waitFor("the old ones to go", [&] { return runFolders().size() == 10; });
        waitForEmptyTrash();
        // The one that was submitted is the newest, so nine of the old ones are left.
        for (std::size_t i = 0; i < made.size(); ++i)
            CPPUNIT_ASSERT_EQUAL(i + 9 < made.size() ? 404 : 200,
                                 _daemon.get("/api/runs/" + made[i]).status);
    }

    void testKilledInBetweenLeavesNoRowWithoutFilesNorFilesForEver()
    {
        const auto made = makeRecord(400);
        _daemon.set("runs.keep", "1d");
        _daemon.set("workspace.keep", "0"); // so that a run's files are all there while its row is
        std::mt19937 random(4711);          // NOLINT: the same kills each time
        int kills = 0;
        while (!runFolders().empty())
        {
            CPPUNIT_ASSERT(++kills < 500);
            _daemon.start();
            std::this_thread::sleep_for(std::chrono::milliseconds(random() % 30));
            _daemon.kill();
            Database record(_daemon.state() / "record.db");
            agent::RunStore runs(record.writer());
            for (const auto& id : made)
                CPPUNIT_ASSERT_MESSAGE(id, !runs.run(id) ||
                                               fs::exists(folderOf(id) / "workspace/file"));
        }
        std::cout << " (" << kills << " kills) " << std::flush;
        _daemon.start();
        waitForEmptyTrash();
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), _daemon.get("/api/runs").body);
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        Database record(_daemon.state() / "record.db");
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), rows(record, "SELECT COUNT(*) FROM stages"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t(400), rows(record, "SELECT COUNT(*) FROM history"));
    }

    void testWorkspaceGoesAndTheFailedStageCannotBeTriedAgain()
    {
        _daemon.start();
        const auto good = _daemon.submit(one("echo good"));
        _daemon.waitForRun(good, "SUCCESS");
        const auto bad = _daemon.submit(one("echo bad; false"));
        _daemon.waitForRun(bad, "FAILURE");
        restartWith("workspace.keep", "1ms");
        for (const auto& id : {good, bad})
            waitFor("the workspace to go", [&] { return !fs::exists(folderOf(id) / "workspace"); });
        waitForEmptyTrash();
        const auto stage = _daemon.stagesOf(bad)[0];
        const Answer refused = _daemon.patch("/api/stages/" + stage, R"({"status":"IDLE"})");
        CPPUNIT_ASSERT_EQUAL(409, refused.status);
        CPPUNIT_ASSERT_MESSAGE(refused.body,
                               refused.body.find("workspace_gone") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(bad));
        CPPUNIT_ASSERT_EQUAL(std::string("bad\n"), _daemon.log(stage)); // the rest is there
        const auto again = _daemon.post("/api/runs/" + bad + "/rerun");
        CPPUNIT_ASSERT_EQUAL(200, again.status);
        _daemon.waitForRun(again.body, "FAILURE");
        waitFor("the next workspace to go, without a request",
                [&] { return !fs::exists(folderOf(again.body) / "workspace"); });
    }

    void testARunThatIsTriedAgainKeepsItsWorkspace()
    {
        _daemon.start();
        const auto go = (_daemon.folder() / "go").string();
        const auto run = _daemon.submit(
            one("if test ! -e made; then touch made; exit 1; fi; touch " + go +
                "-on; while test ! -e " + go + "; do sleep 0.05; done; test -e made"));
        _daemon.waitForRun(run, "FAILURE");
        const auto stage = _daemon.stagesOf(run)[0];
        CPPUNIT_ASSERT_EQUAL(200,
                             _daemon.patch("/api/stages/" + stage, R"({"status":"IDLE"})").status);
        waitFor("the second attempt", [&] { return fs::exists(go + "-on"); });
        restartWith("workspace.keep", "1ms");
        _daemon.waitForRun(_daemon.submit(one("true")), "SUCCESS"); // the housekeeping has looked
        CPPUNIT_ASSERT(fs::exists(folderOf(run) / "workspace/made"));
        std::ofstream(go) << "x";
        _daemon.waitForRun(run, "SUCCESS");
        waitFor("the workspace to go", [&] { return !fs::exists(folderOf(run) / "workspace"); });
    }

    void testRacingSwapperInAWorkspaceStaysInside()
    {
        const agent::FilesFolder outside;
        for (int i = 0; i < 50; ++i)
            outside.write("below/file" + std::to_string(i), "x");
        _daemon.start();
        for (int round = 0; round < 20; ++round)
        {
            const auto run = _daemon.submit(
                one("mkdir -p a/below; for i in $(seq 50); do echo > a/below/file$i; done; ln -s " +
                    outside.path().string() + " b"));
            _daemon.waitForRun(run, "SUCCESS");
            const int workspace =
                ::open((folderOf(run) / "workspace").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            {
                std::atomic<long> swaps = 0;
                const std::jthread swapper(
                    [&](const std::stop_token& stop)
                    {
                        while (!stop.stop_requested())
                            if (::renameat2(workspace, "a", workspace, "b", RENAME_EXCHANGE) == 0)
                                ++swaps;
                    });
                waitFor("the swapper", [&] { return swaps > 100; });
                CPPUNIT_ASSERT_EQUAL(200, _daemon.request("DELETE", "/api/runs/" + run).status);
                waitForEmptyTrash();
            }
            ::close(workspace);
            CPPUNIT_ASSERT_EQUAL(
                std::ptrdiff_t(50),
                std::distance(fs::directory_iterator(outside.path() / "below"), {}));
        }
    }

    void testCompressedLogsReadTheSame()
    {
        _daemon.set("logs.compress_after", "0");
        _daemon.start();
        const auto run = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","output":"separate","retry":{"attempts":2},"with":{"command":")"
            R"(i=0; while test $i -lt 40000; do i=$((i+1)); echo line $i of $STAGE_ATTEMPT; done; )"
            R"(echo oops >&2; printf 'no end'; test $STAGE_ATTEMPT = 2"}}])");
        _daemon.waitForRun(run, "SUCCESS");
        const auto id = _daemon.stagesOf(run)[0];
        const auto before = allReadings(id);
        for (const auto& [query, text] : before)
            CPPUNIT_ASSERT_MESSAGE(query, text.find("\r\n\r\n") + 4 < text.size());
        restartWith("logs.compress_after", "1ms");
        for (const char* attempt : {"1", "2"})
        {
            const auto folder = folderOf(run) / "0-BUILD" / attempt;
            waitFor("the log to be compressed", [&] { return !fs::exists(folder / "log"); });
            CPPUNIT_ASSERT(fs::exists(folder / "log.zst"));
            CPPUNIT_ASSERT(fs::file_size(folder / "log.zst") < 200'000);
        }
        const auto after = allReadings(id);
        for (const auto& [query, text] : before)
            CPPUNIT_ASSERT_MESSAGE(query, text == after.at(query));
        CPPUNIT_ASSERT_EQUAL(416, _daemon
                                      .request("GET", "/api/stages/" + id + "/log", "",
                                               {{"Range", "bytes=100000000-"}})
                                      .status);
    }

    void testAReaderInTheMiddleOfALogReadsOn()
    {
        _daemon.set("logs.compress_after", "500ms");
        _daemon.start();
        const auto run = _daemon.submit(one("yes abcdefghijklmnopqrstuvwxyz | head -n 1000000"));
        _daemon.waitForRun(run, "SUCCESS");
        const auto id = _daemon.stagesOf(run)[0];
        // A client that takes little: what it has not read yet waits in the agent.
        RawClient slow(_daemon.url(), 4096);
        const std::string host = _daemon.url().substr(_daemon.url().find("//") + 2);
        slow.send("GET /api/stages/" + id + "/log HTTP/1.1\r\nHost: " + host + "\r\n" +
                  agent::test::authorizationFor(_daemon.url()) + "Connection: close\r\n\r\n");
        const auto folder = folderOf(run) / "0-BUILD" / "1";
        waitFor("the log to be compressed", [&] { return !fs::exists(folder / "log"); });
        const std::string all = slow.receiveAll();
        const std::string body = all.substr(all.find("\r\n\r\n") + 4);
        CPPUNIT_ASSERT_EQUAL(std::size_t(27'000'000), body.size());
        CPPUNIT_ASSERT(body == _daemon.log(id));
    }

    void testZeroKeepsAll()
    {
        const auto made = makeRecord(5);
        for (const char* key :
             {"runs.keep", "runs.keep_count", "workspace.keep", "logs.compress_after"})
            _daemon.set(key, "0");
        _daemon.start();
        _daemon.waitForRun(_daemon.submit(one("true")), "SUCCESS");
        for (const auto& id : made)
        {
            CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs/" + id).status);
            CPPUNIT_ASSERT(fs::exists(folderOf(id) / "workspace/file"));
            CPPUNIT_ASSERT(fs::exists(folderOf(id) / "0-BUILD/1/log"));
        }
        std::string output;
        CPPUNIT_ASSERT_EQUAL(78, _daemon.runToEnd({"--check", "-D", "runs.keep=soon"}, output));
        CPPUNIT_ASSERT_MESSAGE(output, output.find("runs.keep") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(78, _daemon.runToEnd({"--check", "-D", "runs.keep_count=-1"}, output));
    }

private:
    static std::string one(const std::string& command)
    {
        return R"([{"type":"BUILD","plugin":"shell","with":{"command":")" + command + "\"}}]";
    }

    void restartWith(const std::string& key, const std::string& value)
    {
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        _daemon.set(key, value);
        _daemon.start();
    }

    [[nodiscard]] fs::path folderOf(const std::string& run) const
    {
        return _daemon.state() / "runs" / run.substr(0, 2) / run;
    }

    [[nodiscard]] std::vector<fs::path> runFolders() const
    {
        std::vector<fs::path> found;
        for (const auto& group : fs::directory_iterator(_daemon.state() / "runs"))
            for (const auto& folder : fs::directory_iterator(group))
                found.push_back(folder);
        return found;
    }

    void waitForEmptyTrash() const
    {
        waitFor("the trash to be empty", [&] { return fs::is_empty(_daemon.state() / "trash"); });
    }

    /// A record of runs that ended long ago, with their files, without a daemon having run them.
    /// Shape: their ids, the longest ended first.
    /// Changes go on until now, of more than ten without a pause of a day, or are as old as the runs.
    std::vector<std::string> makeRecord(int count, bool changedNow = true) const
    {
        fs::create_directories(_daemon.state() / "runs");
        Database record(_daemon.state() / "record.db");
        agent::RunStore store(record.writer());
        agent::History history(record.writer());
        agent::Transaction transaction(record.writer());
        const agent::TimeMs begin = agent::nowMs() - 10LL * 86'400'000;
        std::vector<std::string> ids;
        for (int i = 0; i < count; ++i)
        {
            agent::Run run{.id = agent::newId(),
                           .createdAt = begin,
                           .startedAt = begin + i,
                           .endedAt = begin + i,
                           .status = agent::Status::Success,
                           .pipeline = "{}"};
            store.insert(run);
            store.insert(agent::Stage{.id = agent::newId(),
                                      .runId = run.id,
                                      .type = agent::StageType::Build,
                                      .plugin = "shell",
                                      .status = agent::Status::Success,
                                      .attempt = 1,
                                      .updatedAt = begin + i,
                                      .startedAt = begin + i,
                                      .endedAt = begin + i});
            history.append({.at = changedNow ? begin + (i + 1) * 10LL * 86'400'000 / count : begin,
                            .runId = run.id,
                            .actor = "agent",
                            .to = "SUCCESS"});
            for (const char* file : {"workspace/file", "workspace/deep/file", "0-BUILD/1/log"})
            {
                fs::create_directories((folderOf(run.id) / file).parent_path());
                std::ofstream(folderOf(run.id) / file) << "x";
            }
            ids.push_back(run.id);
        }
        transaction.commit();
        return ids;
    }

    /// What the API answers, with the heads that tell of the bytes, in every way of reading a log.
    std::map<std::string, std::string> allReadings(const std::string& id) const
    {
        std::map<std::string, std::string> all;
        const auto read = [&](const std::string& path, const std::string& range = "")
        {
            std::map<std::string, std::string> headers;
            if (!range.empty())
                headers["Range"] = range;
            const Answer answer = _daemon.request("GET", path, "", headers);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, range.empty() ? 200 : 206, answer.status);
            std::string text;
            for (const char* name : {"content-type", "content-range", "accept-ranges"})
                if (const auto header = answer.headers.find(name); header != answer.headers.end())
                    text += header->first + ": " + header->second + "\r\n";
            all[path + " " + range] = text + "\r\n\r\n" + answer.body;
        };
        const std::string log = "/api/stages/" + id + "/log";
        for (const char* query :
             {"", "?timestamps=1", "?attempt=1", "?attempt=2", "?attempt=1&timestamps=1",
              "?attempt=2&timestamps=1", "?follow=1", "?follow=1&timestamps=1"})
            read(log + query);
        for (const char* range : {"bytes=0-0", "bytes=5-200000", "bytes=-1000", "bytes=300000-"})
            for (const char* query : {"", "?attempt=1", "?timestamps=1"})
                read(log + query, range);
        for (const char* query :
             {"", "&limit=10000", "&after=1.20000&limit=10000", "&after=2.39999",
              "&attempt=1&after=1.40000", "&attempt=2&limit=1"})
            read("/api/logs?stageId=" + id + query);
        return all;
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RetentionTest);
