// stagectl with what stages left: files that are listed and brought here, tests that failed, runs that are kept.
#include "tests/support/LeftResults.h"
#include "tests/support/Stagectl.h"
#include "tests/support/TerminalProgram.h"

#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include <sys/stat.h>

namespace fs = std::filesystem;

using agent::StoredArtifacts;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::Ended;
using agent::test::LeftResults;
using agent::test::stagectlEnded;

class StagectlArtifactsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagectlArtifactsTest);
    CPPUNIT_TEST(testListsTheFilesOfAStageAndOfARun);
    CPPUNIT_TEST(testBringsWhatMatches);
    CPPUNIT_TEST(testGoesOnWithWhatAnInterruptLeft);
    CPPUNIT_TEST(testKeepsNothingOfAnotherContent);
    CPPUNIT_TEST(testRefusesTwoFilesOfOneName);
    CPPUNIT_TEST(testSaysWhereNothingMatchesOrIsGone);
    CPPUNIT_TEST(testShowsHowFarItHasCome);
    CPPUNIT_TEST(testShowsWhichTestsFailed);
    CPPUNIT_TEST(testARunsRowSaysHowManyTestsFailed);
    CPPUNIT_TEST(testKeepsARun);
    CPPUNIT_TEST_SUITE_END();

    Daemon _daemon;
    std::unique_ptr<LeftResults> _left;

    void runOnce(const std::vector<std::string>& names)
    {
        _left = std::make_unique<LeftResults>(LeftResults::runOf(_daemon, names));
    }

    Ended ended(int exitCode, const std::vector<std::string>& arguments) const
    {
        return stagectlEnded(_daemon, exitCode, arguments);
    }

    [[nodiscard]] fs::path out() const { return _daemon.folder() / "out"; }

    Ended get(int exitCode, const std::string& target, const std::string& pattern) const
    {
        return ended(exitCode, {"artifacts", target, "--get", pattern, "--to", out().string()});
    }

    static void assertHas(const std::string& text, const std::string& part)
    {
        CPPUNIT_ASSERT_MESSAGE("'" + part + "' is not in:\n" + text,
                               text.find(part) != std::string::npos);
    }

    static std::string noise(std::size_t size)
    {
        std::string bytes(size, '\0');
        std::uint32_t state = 17;
        for (char& byte : bytes)
            byte = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
        return bytes;
    }

public:
    void testListsTheFilesOfAStageAndOfARun()
    {
        runOnce({"build", "docs"});
        _left->leave(0, {{"dist/app", "12345"}, {"dist/line\nend", ""}});
        _left->leave(1, {{"docs/index.html", "x"}});
        _daemon.start();
        const std::string digest = StoredArtifacts::sha256("12345");
        const std::string ofStage = ended(0, {"artifacts", _left->stages[0]}).out;
        assertHas(ofStage, "5     0644  " + digest + "  dist/app\n");
        assertHas(ofStage, "dist/line\\x0aend\n");
        CPPUNIT_ASSERT(ofStage.find("docs") == std::string::npos);
        const std::string ofRun = ended(0, {"artifacts", _left->run}).out;
        assertHas(ofRun, "build  5     0644  " + digest + "  dist/app\n");
        assertHas(ofRun, "docs   1     0644  ");
        CPPUNIT_ASSERT_EQUAL(std::string("dist/app\ndist/line\\x0aend\ndocs/index.html\n"),
                             ended(0, {"artifacts", _left->run, "-o", "name"}).out);
        rapidjson::Document json;
        json.Parse(ended(0, {"artifacts", _left->run, "--json"}).out);
        CPPUNIT_ASSERT_EQUAL(3U, json.Size());
        CPPUNIT_ASSERT_EQUAL(_left->stages[1], std::string(json[2]["stageId"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("docs/index.html"),
                             std::string(json[2]["path"].GetString()));
    }

    void testBringsWhatMatches()
    {
        runOnce({"build"});
        _left->leave(0, {{"dist/app", "12345"},
                         {"dist/sub/ü \"x\"", "2"},
                         {"dist/line\nend", "3"},
                         {"log.txt", "4"}});
        _daemon.start();
        assertHas(get(0, _left->run, "dist/**").out, "3 files, 7 B in " + out().string() + "\n");
        CPPUNIT_ASSERT_EQUAL(std::string("12345"), contentOf(out() / "dist/app"));
        CPPUNIT_ASSERT_EQUAL(std::string("2"), contentOf(out() / "dist/sub/ü \"x\""));
        CPPUNIT_ASSERT_EQUAL(std::string("3"), contentOf(out() / "dist/line\nend"));
        CPPUNIT_ASSERT(!fs::exists(out() / "log.txt"));
        struct stat status = {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat((out() / "dist/app").c_str(), &status));
        CPPUNIT_ASSERT_EQUAL(0644U, static_cast<unsigned>(status.st_mode & 07777));
        std::ofstream(out() / "dist/app") << "other";
        assertHas(get(0, _left->run, "**").out,
                  "4 files, 8 B in " + out().string() + "; 2 of them stood there already\n");
        CPPUNIT_ASSERT_EQUAL(std::string("12345"), contentOf(out() / "dist/app"));
        assertHas(ended(2, {"artifacts", _left->run, "--to", "x"}).err, "--get");
    }

    /// What stands in NAME.part is not fetched again, and counts for the digest.
    void testGoesOnWithWhatAnInterruptLeft()
    {
        const std::string bytes = noise(3'000'000);
        runOnce({"build"});
        _left->leave(0, {{"big", bytes}});
        _daemon.start();
        StoredArtifacts::write(out() / "big.part", bytes.substr(0, 1'234'567));
        get(0, _left->run, "big");
        CPPUNIT_ASSERT(bytes == contentOf(out() / "big"));
        CPPUNIT_ASSERT(!fs::exists(out() / "big.part"));

        fs::remove(out() / "big");
        StoredArtifacts::write(out() / "big.part", "another beginning");
        assertHas(get(7, _left->run, "big").err, "is not what the stage left");
        CPPUNIT_ASSERT(!fs::exists(out() / "big"));
        CPPUNIT_ASSERT(!fs::exists(out() / "big.part"));
        StoredArtifacts::write(out() / "big.part", bytes + "too much");
        get(0, _left->run, "big");
        CPPUNIT_ASSERT(bytes == contentOf(out() / "big"));
    }

    void testKeepsNothingOfAnotherContent()
    {
        runOnce({"build"});
        _left->leave(0, {{"app", "12345"}});
        const auto content = _left->kept(0).content(StoredArtifacts::sha256("12345"));
        std::ofstream(content) << "54321"; // by a stage that is the agent's user
        _daemon.start();
        assertHas(get(7, _left->run, "app").err, "is not what the stage left");
        CPPUNIT_ASSERT(!fs::exists(out() / "app"));
    }

    void testRefusesTwoFilesOfOneName()
    {
        runOnce({"one", "two"});
        _left->leave(0, {{"app", "1"}, {"same", "s"}, {"a", "file"}});
        _left->leave(1, {{"app", "2"}, {"same", "s"}, {"a/b", "below it"}});
        _daemon.start();
        assertHas(get(2, _left->run, "app").err, "the stages one and two both left 'app'");
        assertHas(get(2, _left->run, "a").err, "both left");
        CPPUNIT_ASSERT(!fs::exists(out()));
        get(0, _left->run, "same");
        get(0, _left->stages[1], "app");
        CPPUNIT_ASSERT_EQUAL(std::string("2"), contentOf(out() / "app"));
    }

    void testSaysWhereNothingMatchesOrIsGone()
    {
        runOnce({"build"});
        _left->leave(0, {{"app", "12345"}});
        _daemon.start();
        assertHas(get(4, _left->run, "*.zip").err, "no artifact matches '*.zip'");
        fs::remove(_left->kept(0).content(StoredArtifacts::sha256("12345")));
        assertHas(get(4, _left->run, "app").err, "artifact_removed");
    }

    void testShowsHowFarItHasCome()
    {
        runOnce({"build"});
        _left->leave(0, {{"big", noise(20'000'000)}});
        _daemon.start();
        agent::test::TerminalProgram program(
            agent::test::stagectl(
                {"artifacts", _left->run, "--get", "big", "--to", out().string()}),
            agent::test::terminalOf(_daemon), 10, 120);
        CPPUNIT_ASSERT_EQUAL(0, program.end());
        assertHas(program.written(), "[....................] 0 %  0 B of 19.1 MiB");
        // Nothing of it stays.
        assertHas(program.screen.text(), "1 file, 19.1 MiB in");
        CPPUNIT_ASSERT(program.screen.text().find('%') == std::string::npos);
    }

    void testShowsWhichTestsFailed()
    {
        runOnce({"unit", "more"});
        _left->leaveResults(
            0,
            R"({"durationMs":1500,"files":2,"refused":[{"file":"bomb.xml","why":"declares entities"}],
                "failures":[{"kind":"failure","suite":"s","class":"Sums","name":"adds","file":"a.py","line":7,
                "durationMs":12,"message":"3 != 4\u001b[2J","details":"at a.py"}],"truncated":true})",
            412, 3);
        _left->leaveResults(1, R"({"failures":[],"refused":[],"truncated":false})", 2, 0);
        _daemon.start();
        const std::string shown = ended(0, {"tests", _left->run}).out;
        assertHas(shown, "3 of 414 failed, 2 skipped\n");
        assertHas(shown, "\nunit: 3 of 412 failed, 1 skipped, 1.500s\n"
                         "  Sums adds (a.py:7, 0.012s)\n    3 != 4\\x1b[2J\n"
                         "  not read: bomb.xml declares entities\n"
                         "  not all is shown: the reports have more\n");
        assertHas(shown, "\nmore: 1 passed, 1 skipped\n");
        CPPUNIT_ASSERT(shown.find("at a.py") == std::string::npos);
        assertHas(ended(0, {"tests", _left->run, "--details"}).out, "\n      at a.py\n");
        rapidjson::Document json;
        json.Parse(ended(0, {"tests", _left->run, "--json"}).out);
        CPPUNIT_ASSERT_EQUAL(414, json["total"].GetInt());
        const auto none = _daemon.submit("[" + agent::test::shell("true") + "]");
        assertHas(ended(0, {"tests", none}).out, "no test reports");
    }

    void testARunsRowSaysHowManyTestsFailed()
    {
        runOnce({"unit"});
        _left->leaveResults(0, "{}", 412, 3);
        _left->leave(0, {{"app", "12345"}});
        _daemon.start();
        assertHas(ended(0, {"runs"}).out, "3 of 412 failed");
        assertHas(ended(0, {"stages", _left->run}).out, "3 of 412 failed");
        for (const auto& target : {_left->run, _left->stages[0]})
        {
            const std::string described = ended(0, {"describe", target}).out;
            assertHas(described, "3 of 412 failed, 1 skipped");
            assertHas(described, "1 file, 5 B");
        }
    }

    void testKeepsARun()
    {
        runOnce({"unit"});
        _daemon.start();
        const auto kept = [&]
        { return _daemon.get("/api/runs/" + _left->run).json()["kept"].GetBool(); };
        assertHas(ended(0, {"keep", _left->run}).out, ": kept");
        CPPUNIT_ASSERT(kept());
        assertHas(ended(0, {"describe", _left->run}).out, "Kept");
        ended(0, {"keep", _left->run, "--undo"});
        CPPUNIT_ASSERT(!kept());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlArtifactsTest);
