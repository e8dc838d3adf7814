// `stagectl logs` of a running stage, over a restart of the agent, and with --since.
#include "agent/model/Timestamp.h"
#include "tests/support/Program.h"
#include "tests/support/Stages.h"
#include "tests/support/TerminalProgram.h"

#include <cppunit/extensions/HelperMacros.h>

#include <future>

using agent::formatTime;
using agent::nowMs;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::Ended;
using agent::test::listOf;
using agent::test::runProgram;
using agent::test::shell;
using agent::test::TerminalProgram;
using agent::test::waitFor;

class StagectlLogsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagectlLogsTest);
    CPPUNIT_TEST(testFollowShowsWhatIsPrintedBeforeTheStageEnds);
    CPPUNIT_TEST(testFollowResumesOverARestartWithoutAGap);
    CPPUNIT_TEST(testFollowResumesOverARestartWithTimestamps);
    CPPUNIT_TEST(testFollowShowsTheNextAttemptToo);
    CPPUNIT_TEST(testFollowLosesNoLineOfAnAttemptThatEndedMeanwhile);
    CPPUNIT_TEST(testFollowEndsQuietlyWhenItIsInterrupted);
    CPPUNIT_TEST(testFollowWithTailBeginsAtTheLastLines);
    CPPUNIT_TEST(testAProgressBarIsItsLastState);
    CPPUNIT_TEST(testSinceSelectsLinesByTheirBeginning);
    CPPUNIT_TEST(testSinceTakesATimeOrAnAge);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.start(); }

    void testFollowShowsWhatIsPrintedBeforeTheStageEnds()
    {
        const auto id = submit("printf 'a line\\nhalf of'; " + gate("go") + "; echo ' one'");
        auto shown = follow({"logs", id, "-f"});
        waitFor("the line that is not whole yet", [&] { return printed() == "a line\nhalf of"; });
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.detail(id, "status"));
        open("go");
        const Ended ended = shown.get();
        CPPUNIT_ASSERT_EQUAL(std::string("a line\nhalf of one\n"), ended.out);
        CPPUNIT_ASSERT_EQUAL(0, ended.exitCode);
    }

    void testFollowResumesOverARestartWithoutAGap() { restartMeanwhile({}); }
    void testFollowResumesOverARestartWithTimestamps() { restartMeanwhile({"--timestamps"}); }

    void testFollowShowsTheNextAttemptToo()
    {
        const auto id = submit("echo try $STAGE_ATTEMPT; test $STAGE_ATTEMPT = 2",
                               R"("retry":{"attempts":2,"delay":"1s"})");
        const Ended ended = follow({"logs", id, "-f"}).get();
        CPPUNIT_ASSERT_EQUAL(std::string("try 1\ntry 2\n"), ended.out);
        CPPUNIT_ASSERT_EQUAL(std::string("stagectl: attempt 2\n"), ended.err);
    }

    /// Symptom: `\\x0dDownloading 0%\\x0dDownloading 5%…`, where the dashboard has one line. Cause: each carriage return was
    /// escaped. Bound: as the dashboard, and --raw has all bytes.
    void testAProgressBarIsItsLastState()
    {
        const auto id = submit("printf '\\rDownloading 0%%\\rDownloading 100%%\\r\\ndone\\n'");
        _daemon.waitForStage(id, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("Downloading 100%\ndone\n"),
                             follow({"logs", id}).get().out);
        CPPUNIT_ASSERT_EQUAL(std::string("\rDownloading 0%\rDownloading 100%\r\ndone\n"),
                             follow({"logs", id, "--raw"}).get().out);
    }

    /// Symptom: the rest of an attempt was skipped when the next one had begun before stagectl came back.
    /// Cause: it resumed with the newest attempt. Bound: all attempts in order, each to its end.
    void testFollowLosesNoLineOfAnAttemptThatEndedMeanwhile()
    {
        for (const bool timestamps : {false, true})
        {
            std::filesystem::remove(_daemon.folder() / "go");
            const auto id = submit("echo try $STAGE_ATTEMPT; " + gate("go") +
                                       "; echo end of $STAGE_ATTEMPT; test $STAGE_ATTEMPT = 3",
                                   R"("retry":{"attempts":3,"delay":"10ms"})");
            std::vector<std::string> arguments{"logs", id, "-f"};
            if (timestamps)
                arguments.emplace_back("--timestamps");
            auto shown = follow(arguments);
            waitFor("the first line", [&] { return printed().ends_with("try 1\n"); });
            const std::string url = _daemon.url();
            _daemon.kill();
            open("go");
            // A port that stagectl does not use: the agent is back only after the end.
            _daemon.set("http.port", "0");
            _daemon.start();
            _daemon.waitForStage(id, "SUCCESS");
            CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
            _daemon.set("http.port", url.substr(url.rfind(':') + 1));
            _daemon.start();
            const Ended ended = shown.get();
            CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
            std::string lines = ended.out;
            if (timestamps)
            {
                lines.clear();
                for (std::size_t at = 0; at < ended.out.size(); at = ended.out.find('\n', at) + 1)
                    lines += ended.out.substr(at + 25, ended.out.find('\n', at) - at - 24);
            }
            CPPUNIT_ASSERT_EQUAL(std::string("try 1\nend of 1\ntry 2\nend of 2\ntry 3\nend of 3\n"),
                                 lines);
            for (const char* said : {"stagectl: attempt 2\n", "stagectl: attempt 3\n"})
                CPPUNIT_ASSERT_MESSAGE(ended.err, ended.err.find(said) != std::string::npos);
        }
    }

    void testFollowEndsQuietlyWhenItIsInterrupted()
    {
        const auto id = submit("printf '\\033[31mred'; " + gate("go"));
        TerminalProgram shown({STAGE_AGENT_BIN_DIR "/stagectl", "logs", id, "-f"},
                              {"STAGE_AGENT_URL=" + _daemon.url()}, 24, 80);
        shown.untilShown("red");
        CPPUNIT_ASSERT(shown.screen.coloured());
        shown.type("\x03");
        CPPUNIT_ASSERT_EQUAL(130, shown.end());
        CPPUNIT_ASSERT(!shown.screen.coloured());
        CPPUNIT_ASSERT_EQUAL(std::string("red^C\n"), shown.screen.text());
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.detail(id, "status"));
        open("go");
        _daemon.waitForStage(id, "SUCCESS");
    }

    void testFollowWithTailBeginsAtTheLastLines()
    {
        const auto id = submit("seq 1000; " + gate("go") + "; echo end");
        waitFor("its lines", [&] { return _daemon.log(id).ends_with("1000\n"); });
        auto plain = follow({"logs", id, "-f", "--tail", "2"});
        waitFor("the last lines", [&] { return printed() == "999\n1000\n"; });
        auto stamped = follow({"logs", id, "-f", "--tail", "2", "--timestamps"});
        waitFor("the last lines with their times", [&] { return printed().ends_with("Z 1000\n"); });
        open("go");
        CPPUNIT_ASSERT_EQUAL(std::string("999\n1000\nend\n"), plain.get().out);
        const std::string out = stamped.get().out;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(out, std::size_t(3 * 25 + 4 + 5 + 4), out.size());
        CPPUNIT_ASSERT_MESSAGE(out, out.ends_with("Z end\n"));
    }

    /// A line's time is that of its first byte.
    void testSinceSelectsLinesByTheirBeginning()
    {
        const auto id = submit("printf 'early\\nhalf'; " + gate("go") +
                               "; printf ' of it\\nlate\\nlast\\n'; " + gate("end"));
        waitFor("its beginning", [&] { return _daemon.log(id) == "early\nhalf"; });
        const std::string before = formatTime(nowMs() - 60'000);
        waitFor("the clock to go on", [at = nowMs()] { return nowMs() > at + 5; });
        const std::string then = formatTime(nowMs());
        open("go");
        waitFor("its end", [&] { return _daemon.log(id).ends_with("last\n"); });

        const std::string all = "early\nhalf of it\nlate\nlast\n";
        CPPUNIT_ASSERT_EQUAL(all, run({"logs", id, "--since", before}).out);
        CPPUNIT_ASSERT_EQUAL(std::string("late\nlast\n"), run({"logs", id, "--since", then}).out);
        CPPUNIT_ASSERT_EQUAL(std::string("last\n"),
                             run({"logs", id, "--since", then, "--tail", "1"}).out);
        CPPUNIT_ASSERT_EQUAL(std::string("late\nlast\n"),
                             run({"logs", id, "--since", then, "--tail", "100"}).out);
        const std::string stamped = run({"logs", id, "--since", then, "--timestamps"}).out;
        CPPUNIT_ASSERT_EQUAL(std::size_t(2 * 25 + 10), stamped.size());
        CPPUNIT_ASSERT(stamped >= then);
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             run({"logs", id, "--since", formatTime(nowMs() + 60'000)}).out);

        auto shown = follow({"logs", id, "-f", "--since", then});
        auto stampedToo =
            std::async(std::launch::async,
                       [&] {
                           return run({"logs", id, "-f", "--since", then, "--timestamps"});
                       });
        waitFor("the lines since", [&] { return printed() == "late\nlast\n"; });
        open("end");
        CPPUNIT_ASSERT_EQUAL(std::string("late\nlast\n"), shown.get().out);
        CPPUNIT_ASSERT_EQUAL(stamped, stampedToo.get().out);
    }

    void testSinceTakesATimeOrAnAge()
    {
        const auto id = submit("echo one");
        _daemon.waitForStage(id, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("one\n"), run({"logs", id, "--since", "1h"}).out);
        // Two hours ahead of us, the same moment is written two hours later.
        const std::int64_t hour = 3'600'000;
        const auto inZone = [](std::int64_t time, const std::string& zone)
        { return formatTime(time).substr(0, 19) + zone; };
        const std::string before = inZone(nowMs() + hour, "+02:00");
        const std::string later = inZone(nowMs() + 3 * hour, "+02:00");
        CPPUNIT_ASSERT_EQUAL(std::string("one\n"), run({"logs", id, "--since", before}).out);
        CPPUNIT_ASSERT_EQUAL(std::string(), run({"logs", id, "--since", later}).out);
        const std::string west = inZone(nowMs() - 4 * hour, "-03:30");
        CPPUNIT_ASSERT_EQUAL(std::string("one\n"), run({"logs", id, "--since", west}).out);
        for (const char* text : {"10x", "2026-03-20", "2026-03-20T17:17:13+2", "+02:00"})
            CPPUNIT_ASSERT_EQUAL(2, run({"logs", id, "--since", text}).exitCode);
        const Ended refused = run({"logs", id, "--since", "yesterday"});
        CPPUNIT_ASSERT_EQUAL(2, refused.exitCode);
        CPPUNIT_ASSERT_MESSAGE(refused.err, refused.err.find("10m") != std::string::npos);
        const std::string path = "/api/stages/" + id + "/log?since=";
        const auto wrong = _daemon.get(path + "yesterday");
        CPPUNIT_ASSERT_EQUAL(400, wrong.status);
        CPPUNIT_ASSERT_MESSAGE(wrong.body, wrong.body.find("since") != std::string::npos);
        const auto both =
            _daemon.request("GET", path + "2026-01-01T00:00:00.000Z", "", {{"Range", "bytes=0-"}});
        CPPUNIT_ASSERT_EQUAL(400, both.status);
        const auto all = _daemon.get(path + "2026-01-01T00:00:00.000Z");
        CPPUNIT_ASSERT_EQUAL(std::string("one\n"), all.body);
        CPPUNIT_ASSERT_EQUAL(std::string("0"), all.headers.at("log-offset"));
    }

private:
    void restartMeanwhile(const std::vector<std::string>& options)
    {
        const auto id =
            submit("i=0; while test $i -lt 300; do echo line $i; i=$((i+1)); done; " + gate("go") +
                   "; while test $i -lt 600; do echo line $i; i=$((i+1)); done; " + gate("end") +
                   "; printf 'no end'");
        std::vector<std::string> arguments{"logs", id, "-f"};
        arguments.insert(arguments.end(), options.begin(), options.end());
        auto shown = follow(arguments);
        waitFor("the first lines", [&] { return printed().ends_with("line 299\n"); });
        const std::string url = _daemon.url();
        _daemon.kill();
        open("go");
        _daemon.set("http.port", url.substr(url.rfind(':') + 1));
        _daemon.start();
        waitFor("the lines of meanwhile", [&] { return printed().ends_with("line 599\n"); });
        open("end");
        const Ended ended = shown.get();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
        arguments.erase(arguments.begin() + 2);
        CPPUNIT_ASSERT_EQUAL(run(arguments).out, ended.out);
        CPPUNIT_ASSERT(ended.out.ends_with("no end"));
    }

    std::string submit(const std::string& command, const std::string& more = "")
    {
        auto id = _daemon.stagesOf(_daemon.submit(listOf({shell(command, more)})))[0];
        waitFor("the stage to start", [&] { return _daemon.detail(id, "attempt") != "0"; });
        return id;
    }

    [[nodiscard]] std::string gate(const std::string& name) const
    {
        return "until test -e " + (_daemon.folder() / name).string() + "; do sleep 0.02; done";
    }
    void open(const std::string& name) const { std::ofstream(_daemon.folder() / name) << ""; }

    /// Runs in the background; printed() returns its output so far.
    std::future<Ended> follow(std::vector<std::string> arguments)
    {
        arguments.insert(arguments.begin(), STAGE_AGENT_BIN_DIR "/stagectl");
        _folder = _daemon.folder() / ("follow" + std::to_string(_follows++));
        std::filesystem::create_directory(_folder);
        return std::async(std::launch::async,
                          [arguments, folder = _folder, url = _daemon.url()] {
                              return runProgram(arguments, folder, {{"STAGE_AGENT_URL", url}});
                          });
    }
    [[nodiscard]] std::string printed() const { return contentOf(_folder / "program-out"); }

    [[nodiscard]] Ended run(std::vector<std::string> arguments) const
    {
        arguments.insert(arguments.begin(), STAGE_AGENT_BIN_DIR "/stagectl");
        return runProgram(arguments, _daemon.folder(), {{"STAGE_AGENT_URL", _daemon.url()}});
    }

    Daemon _daemon;
    std::filesystem::path _folder;
    int _follows = 0;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlLogsTest);
