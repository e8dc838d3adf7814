#include "tests/support/Daemon.h"
#include "tests/support/Program.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <fstream>
#include <sys/stat.h>

using agent::test::Daemon;
using agent::test::Ended;
using agent::test::runProgram;

namespace fs = std::filesystem;

/// `stagectl token …` and `stagectl dashboard`, and where stagectl finds its token.
class StagectlTokenTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagectlTokenTest);
    CPPUNIT_TEST(testMakesListsAndRevokesTokens);
    CPPUNIT_TEST(testQuietPrintsTheTokenAlone);
    CPPUNIT_TEST(testRefusesWhatItDoesNotUnderstand);
    CPPUNIT_TEST(testSaysHowToGetInWithoutAToken);
    CPPUNIT_TEST(testFindsTheAdminTokenOfAnAgentOfThisHost);
    CPPUNIT_TEST(testSendsTheAdminTokenToNobodyElse);
    CPPUNIT_TEST(testPrintsAnAddressThatOpensTheDashboardOnce);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        // Where an agent that is started by a person has its state.
        _daemon.set("state.dir", (home() / ".local/state/stage-agent").string());
        fs::create_directories(home() / ".local/state");
        _daemon.start();
    }

    void testMakesListsAndRevokesTokens()
    {
        const Ended made = done({"token", "create", "deploy-bot", "--role", "run", "--service",
                                 "pay*", "--service", "shop", "--expires", "30d"});
        CPPUNIT_ASSERT_MESSAGE(made.out, made.out.find("sat_") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(made.err, made.err.find("shown only now") != std::string::npos);
        const std::string list = done({"token", "list"}).out;
        CPPUNIT_ASSERT_MESSAGE(list, list.find("TOKEN") == 0);
        CPPUNIT_ASSERT_MESSAGE(list, list.find("\ndeploy-bot") != std::string::npos &&
                                         list.find("pay*, shop") != std::string::npos);
        CPPUNIT_ASSERT(list.find("sat_") == std::string::npos);
        const std::string json = done({"token", "list", "--json"}).out;
        CPPUNIT_ASSERT_MESSAGE(json, json.find(R"("name":"deploy-bot","role":"run")") !=
                                         std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("revoked deploy-bot\n"),
                             done({"token", "revoke", "deploy-bot"}).out);
        CPPUNIT_ASSERT_EQUAL(4, stagectl({"token", "revoke", "deploy-bot"}).exitCode);
    }

    void testQuietPrintsTheTokenAlone()
    {
        const Ended made = done({"token", "create", "reader", "-q"});
        CPPUNIT_ASSERT_EQUAL(std::size_t(69), made.out.size());
        CPPUNIT_ASSERT_EQUAL(std::string(), made.err);
        const auto file = _daemon.folder() / "reader.token";
        std::ofstream(file) << made.out;
        ::chmod(file.c_str(), 0600);
        CPPUNIT_ASSERT_EQUAL(0, stagectl({"--token-file", file.string(), "runs"}).exitCode);
        const Ended refused = stagectl({"--token-file", file.string(), "drain"});
        CPPUNIT_ASSERT_EQUAL(3, refused.exitCode);
        CPPUNIT_ASSERT_MESSAGE(refused.err,
                               refused.err.find("the role operate") != std::string::npos);
    }

    void testRefusesWhatItDoesNotUnderstand()
    {
        for (const char* expires : {"30", "soon", "0d", "-1d"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                expires, 2,
                stagectl({"token", "create", "a", std::string("--expires=") + expires}).exitCode);
        CPPUNIT_ASSERT_EQUAL(3, stagectl({"token", "create", "a", "--role", "root"}).exitCode);
        CPPUNIT_ASSERT_EQUAL(2, stagectl({"token"}).exitCode);
        CPPUNIT_ASSERT_EQUAL(2, stagectl({"token", "create"}).exitCode);
        CPPUNIT_ASSERT_EQUAL(
            2, stagectl({"--agent", "http://127.0.0.1:1", "token", "create", "a"}).exitCode);
    }

    void testSaysHowToGetInWithoutAToken()
    {
        const Ended ended = stagectl({"runs"}, {{"HOME", "/nonexistent"}});
        CPPUNIT_ASSERT_EQUAL(3, ended.exitCode);
        for (const char* part : {"401 token_missing", "--token-file", "admin.token"})
            CPPUNIT_ASSERT_MESSAGE(ended.err, ended.err.find(part) != std::string::npos);
    }

    void testFindsTheAdminTokenOfAnAgentOfThisHost()
    {
        CPPUNIT_ASSERT_EQUAL(0, stagectl({"runs"}).exitCode);
        const std::string port = _daemon.url().substr(_daemon.url().rfind(':'));
        std::vector<std::string> byName{STAGE_AGENT_BIN_DIR "/stagectl", "--agent",
                                        "http://localhost" + port, "runs"};
        CPPUNIT_ASSERT_EQUAL(0, run(byName, {}).exitCode);
        CPPUNIT_ASSERT_EQUAL(
            0, stagectl({"runs"}, {{"HOME", "/nonexistent"},
                                   {"XDG_STATE_HOME", (home() / ".local/state").string()}})
                   .exitCode);
    }

    /// Any program of this host may listen on loopback.
    void testSendsTheAdminTokenToNobodyElse()
    {
        Daemon other;
        other.start();
        std::vector<std::string> line{STAGE_AGENT_BIN_DIR "/stagectl", "--agent", other.url(),
                                      "runs"};
        const Ended ended = run(line, {});
        CPPUNIT_ASSERT_EQUAL(3, ended.exitCode);
        CPPUNIT_ASSERT_MESSAGE(ended.err, ended.err.find("token_missing") != std::string::npos);
    }

    void testPrintsAnAddressThatOpensTheDashboardOnce()
    {
        const Ended ended = done({"dashboard"});
        const std::string begin = _daemon.url() + "/#code=";
        CPPUNIT_ASSERT_EQUAL(begin, ended.out.substr(0, begin.size()));
        const std::string code =
            ended.out.substr(begin.size(), ended.out.size() - begin.size() - 1);
        const auto open = [&]
        {
            return _daemon.request("POST", "/api/dashboard/sessions", R"({"code":")" + code + "\"}",
                                   {{"Authorization", ""}});
        };
        CPPUNIT_ASSERT_EQUAL(201, open().status);
        CPPUNIT_ASSERT_EQUAL(401, open().status);
    }

private:
    using Environment = std::map<std::string, std::string>;

    [[nodiscard]] fs::path home() const { return _daemon.folder() / "home"; }

    Ended run(const std::vector<std::string>& line, Environment environment) const
    {
        environment["STAGE_AGENT_TOKEN"] = "";
        environment.emplace("HOME", home().string());
        return runProgram(line, _daemon.folder(), environment);
    }

    Ended stagectl(const std::vector<std::string>& arguments,
                   const Environment& environment = {}) const
    {
        std::vector<std::string> line{STAGE_AGENT_BIN_DIR "/stagectl", "--agent", _daemon.url()};
        line.insert(line.end(), arguments.begin(), arguments.end());
        return run(line, environment);
    }

    Ended done(const std::vector<std::string>& arguments) const
    {
        Ended ended = stagectl(arguments);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.out + ended.err, 0, ended.exitCode);
        return ended;
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlTokenTest);
