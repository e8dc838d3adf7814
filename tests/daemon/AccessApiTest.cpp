#include "tests/support/AccessFixture.h"
#include "tests/support/Program.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <iostream>
#include <sys/stat.h>
#include <unistd.h>

using agent::test::AccessFixture;
using agent::test::Answer;
using agent::test::listOf;
using agent::test::shell;

/// Who may what over HTTP and the Unix socket, and whose name the history has: docs/access.md.
class AccessApiTest: public CppUnit::TestFixture, private AccessFixture
{
    CPPUNIT_TEST_SUITE(AccessApiTest);
    CPPUNIT_TEST(testWithoutATokenOnlyHealthAndThePageAnswer);
    CPPUNIT_TEST(testRolesBoundWhatIsDone);
    CPPUNIT_TEST(testTheTokensNameIsTheActor);
    CPPUNIT_TEST(testWrongTokensAreDelayedCountedAndToldOnce);
    CPPUNIT_TEST(testMetricsMayBePublic);
    CPPUNIT_TEST(testAProxyNamesThePerson);
    CPPUNIT_TEST(testACodeOpensASessionOnce);
    CPPUNIT_TEST(testOperatorsOfTheHostNeedNoToken);
    CPPUNIT_TEST(testWithoutAuthEverybodyMayEverything);
    CPPUNIT_TEST_SUITE_END();

public:
    void testWithoutATokenOnlyHealthAndThePageAnswer()
    {
        _daemon.start();
        for (const char* path : {"/healthz", "/readyz", "/", "/dashboard/app.js"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, 200, as("", "GET", path).status);
        for (const char* path : {"/api/runs", "/api/agent", "/metrics", "/api/events",
                                 "/api/stages?runId=11111111-1111-4111-8111-111111111111"})
        {
            const Answer answer = as("", "GET", path);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, 401, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("Bearer"), answer.headers.at("www-authenticate"));
            CPPUNIT_ASSERT_EQUAL(std::string("token_missing"), codeOf(answer));
        }
        CPPUNIT_ASSERT_EQUAL(401, as("", "POST", "/api/agent/drain").status);
        CPPUNIT_ASSERT_EQUAL(401, as("nonsense", "GET", "/api/runs").status);
    }

    void testRolesBoundWhatIsDone()
    {
        _daemon.writeService("payment", service("payment"));
        _daemon.start();
        const std::string reader = token("reader", "read");
        const std::string runner = token("runner", "run");
        const std::string operates = token("operator", "operate");
        const std::string start = R"({"service":"payment"})";
        const std::string inlined = R"({"pipeline":{"stages":)" + listOf({shell("true")}) + "}}";
        CPPUNIT_ASSERT_EQUAL(403, as(reader, "POST", "/api/runs", start).status);
        const Answer made = as(runner, "POST", "/api/runs", start);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        const std::string run = made.json()["id"].GetString();
        awaitSuccess(reader, run);
        CPPUNIT_ASSERT_EQUAL(403, as(reader, "POST", "/api/runs/" + run + "/rerun").status);
        CPPUNIT_ASSERT_EQUAL(200, as(runner, "POST", "/api/runs/" + run + "/rerun").status);
        const Answer refused = as(runner, "POST", "/api/runs", inlined);
        CPPUNIT_ASSERT_EQUAL(403, refused.status);
        CPPUNIT_ASSERT(refused.body.find("the role operate") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(403, as(runner, "POST", "/api/agent/drain").status);
        CPPUNIT_ASSERT_EQUAL(403, as(runner, "DELETE", "/api/runs/" + run).status);
        CPPUNIT_ASSERT_EQUAL(403, as(operates, "GET", "/api/tokens").status);
        const Answer own = as(operates, "POST", "/api/runs", inlined);
        CPPUNIT_ASSERT_EQUAL(201, own.status);
        const std::string ownRun = own.json()["id"].GetString();
        awaitSuccess(reader, ownRun);
        CPPUNIT_ASSERT_EQUAL(403, as(runner, "POST", "/api/runs/" + ownRun + "/rerun").status);
        CPPUNIT_ASSERT_EQUAL(200, as(operates, "POST", "/api/runs/" + ownRun + "/rerun").status);
        CPPUNIT_ASSERT_EQUAL(200, as(operates, "DELETE", "/api/runs/" + run).status);
    }

    void testTheTokensNameIsTheActor()
    {
        _daemon.start();
        const std::string secret = token("bot", "operate");
        const std::string run = inlineRun(secret);
        CPPUNIT_ASSERT_EQUAL(std::string("bot"), actorOf(run));
    }

    void testWrongTokensAreDelayedCountedAndToldOnce()
    {
        _daemon.start();
        int delayed = 0;
        for (int i = 0; i < 40 && delayed < 3; ++i)
        {
            const Answer answer = as("wrong", "GET", "/api/runs");
            delayed += answer.status == 429 ? 1 : 0;
            CPPUNIT_ASSERT(answer.status == 401 || answer.status == 429);
            if (answer.status == 429)
                CPPUNIT_ASSERT_EQUAL(std::string("1"), answer.headers.at("retry-after"));
        }
        CPPUNIT_ASSERT_EQUAL(3, delayed);
        CPPUNIT_ASSERT_EQUAL(200, as(admin(), "GET", "/api/runs").status);
        const std::string metrics = as(admin(), "GET", "/metrics").body;
        CPPUNIT_ASSERT(metrics.find("\nstage_agent_auth_delayed_total 3\n") != std::string::npos);
        const std::string line = "has sent 5 wrong tokens";
        const std::string output = _daemon.output();
        const auto at = output.find(line);
        CPPUNIT_ASSERT_MESSAGE(output, at != std::string::npos);
        CPPUNIT_ASSERT(output.find(line, at + 1) == std::string::npos);
    }

    void testMetricsMayBePublic()
    {
        _daemon.set("metrics.public", "true");
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(200, as("", "GET", "/metrics").status);
        CPPUNIT_ASSERT_EQUAL(401, as("", "GET", "/api/agent").status);
    }

    void testAProxyNamesThePerson()
    {
        _daemon.set("auth.proxy_header", "X-Forwarded-User");
        _daemon.start();
        const std::string plain = token("bot", "operate");
        const Answer made =
            as(admin(), "POST", "/api/tokens", R"({"name":"front","role":"operate","proxy":true})");
        const std::string proxy = made.json()["token"].GetString();
        CPPUNIT_ASSERT_EQUAL(std::string("bot"), actorOf(inlineRun(plain, "true", "eve")));
        CPPUNIT_ASSERT_EQUAL(std::string("alice"), actorOf(inlineRun(proxy, "true", "alice")));
        CPPUNIT_ASSERT_EQUAL(std::string("front"), actorOf(inlineRun(proxy)));
    }

    void testACodeOpensASessionOnce()
    {
        _daemon.start();
        const std::string operates = token("operator", "operate");
        const Answer invitation = as(operates, "POST", "/api/dashboard/codes");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(invitation.body, 201, invitation.status);
        CPPUNIT_ASSERT_EQUAL(_daemon.url(), std::string(invitation.json()["url"].GetString()));
        const std::string body =
            std::string(R"({"code":")") + invitation.json()["code"].GetString() + "\"}";
        const Answer session = as("", "POST", "/api/dashboard/sessions", body);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(session.body, 201, session.status);
        const std::string secret = session.json()["token"].GetString();
        CPPUNIT_ASSERT_EQUAL(std::string("operator"), actorOf(inlineRun(secret)));
        CPPUNIT_ASSERT_EQUAL(403, as(secret, "GET", "/api/tokens").status);
        CPPUNIT_ASSERT_EQUAL(401, as("", "POST", "/api/dashboard/sessions", body).status);
        CPPUNIT_ASSERT_EQUAL(401, as("", "POST", "/api/dashboard/codes").status);
        as(admin(), "DELETE", "/api/tokens/operator");
        CPPUNIT_ASSERT_EQUAL(401, as(secret, "GET", "/api/runs").status);
    }

    void testOperatorsOfTheHostNeedNoToken()
    {
        if (::geteuid() != 0)
        {
            std::cout << " (skipped: only root is several users) " << std::flush;
            return;
        }
        ::chmod(_daemon.folder().c_str(), 0755);
        const auto socket = _daemon.folder() / "api.sock";
        _daemon.set("http.socket", socket);
        _daemon.start();
        const auto as = [&](const std::string& who, const std::vector<std::string>& verb)
        {
            std::vector<std::string> line{"/usr/bin/setpriv"};
            if (who != "root")
                line.insert(line.end(), {"--reuid", "65534", "--regid", "65534", "--groups",
                                         who == "member" ? "0" : "65534"});
            line.insert(line.end(),
                        {STAGE_AGENT_BIN_DIR "/stagectl", "--agent", "unix://" + socket.string()});
            line.insert(line.end(), verb.begin(), verb.end());
            return agent::test::runProgram(line, _daemon.folder(), {{"STAGE_AGENT_TOKEN", ""}});
        };
        CPPUNIT_ASSERT_EQUAL(0, as("root", {"token", "list"}).exitCode);
        const auto drained = as("member", {"drain"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(drained.err, 0, drained.exitCode);
        const auto refused = as("member", {"token", "list"});
        CPPUNIT_ASSERT_EQUAL(3, refused.exitCode);
        CPPUNIT_ASSERT_MESSAGE(refused.err, refused.err.find("'nobody' has the role operate") !=
                                                std::string::npos);
        // Whoever gets past the socket's mode is looked at all the same.
        ::chmod(socket.c_str(), 0666);
        const auto stranger = as("stranger", {"runs"});
        CPPUNIT_ASSERT_EQUAL(3, stranger.exitCode);
        CPPUNIT_ASSERT_MESSAGE(stranger.err,
                               stranger.err.find("not_an_operator") != std::string::npos);
    }

    void testWithoutAuthEverybodyMayEverything()
    {
        _daemon.set("auth.required", "false");
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(200, as("", "GET", "/api/tokens").status);
        CPPUNIT_ASSERT_EQUAL(std::string("127.0.0.1"), actorOf(inlineRun("")));
        CPPUNIT_ASSERT_EQUAL(403, as(token("bot", "read"), "POST", "/api/agent/drain").status);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(AccessApiTest);
