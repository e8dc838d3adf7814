#include "tests/support/Daemon.h"
#include "tests/support/Program.h"
#include "tests/support/Records.h"
#include "tests/support/Stages.h"
#include "tests/support/StreamClient.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sys/stat.h>
#include <unistd.h>

using agent::test::Answer;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::shell;
using agent::test::StreamClient;
using agent::test::waitFor;

namespace
{

std::string service(const std::string& name, const std::string& command = "true")
{
    return "name: " + name + "\nstages:\n  - { type: BUILD, plugin: shell, with: { command: '" +
           command + "' } }\n";
}

} // namespace

/// Tokens, roles, narrowing and sessions over HTTP: docs/access.md.
class AccessApiTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(AccessApiTest);
    CPPUNIT_TEST(testTheFirstStartWritesAnAdminToken);
    CPPUNIT_TEST(testALostAdminTokenIsMadeAnewAndTheOldOneEnds);
    CPPUNIT_TEST(testWithoutATokenOnlyHealthAndThePageAnswer);
    CPPUNIT_TEST(testATokenIsMadeListedUsedAndRevoked);
    CPPUNIT_TEST(testTokensSurviveARestartAndTheirSecretsAreNowhere);
    CPPUNIT_TEST(testWhatIsAskedForATokenIsChecked);
    CPPUNIT_TEST(testRolesBoundWhatIsDone);
    CPPUNIT_TEST(testTheTokensNameIsTheActor);
    CPPUNIT_TEST(testStreamsEndWithTheirToken);
    CPPUNIT_TEST(testWrongTokensAreDelayedCountedAndToldOnce);
    CPPUNIT_TEST(testMetricsMayBePublic);
    CPPUNIT_TEST(testCredentialsOfTheUnitAreTokens);
    CPPUNIT_TEST(testAProxyNamesThePerson);
    CPPUNIT_TEST(testACodeOpensASessionOnce);
    CPPUNIT_TEST(testANarrowedTokenSeesItsServicesOnly);
    CPPUNIT_TEST(testANarrowedListIsPagedRight);
    CPPUNIT_TEST(testANarrowedTokenIsToldOfItsServicesOnly);
    CPPUNIT_TEST(testOperatorsOfTheHostNeedNoToken);
    CPPUNIT_TEST(testWithoutAuthEverybodyMayEverything);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.set("auth.required", "true"); }

    void testTheFirstStartWritesAnAdminToken()
    {
        _daemon.start();
        const auto file = _daemon.state() / "admin.token";
        struct stat info = {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat(file.c_str(), &info));
        CPPUNIT_ASSERT_EQUAL(mode_t(S_IFREG | 0600), info.st_mode);
        const std::string before = contentOf(file);
        CPPUNIT_ASSERT_EQUAL(std::string("sat_"), before.substr(0, 4));
        CPPUNIT_ASSERT_EQUAL(200, as(admin(), "GET", "/api/tokens").status);
        _daemon.stop();
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(before, contentOf(file));
    }

    void testALostAdminTokenIsMadeAnewAndTheOldOneEnds()
    {
        _daemon.start();
        const auto file = _daemon.state() / "admin.token";
        for (const char* instead : {"", "sat_0000", "nonsense\nmore"})
        {
            const std::string old = admin();
            _daemon.stop();
            std::filesystem::remove(file);
            if (*instead != '\0')
                std::ofstream(file) << instead;
            _daemon.start();
            CPPUNIT_ASSERT(old != admin());
            CPPUNIT_ASSERT_EQUAL(200, as(admin(), "GET", "/api/tokens").status);
            CPPUNIT_ASSERT_EQUAL(401, as(old, "GET", "/api/tokens").status);
        }
        // A link that a stage put there is replaced, not followed.
        const std::string old = admin();
        _daemon.stop();
        const auto elsewhere = _daemon.folder() / "elsewhere";
        std::filesystem::rename(file, elsewhere);
        std::filesystem::create_symlink(elsewhere, file);
        _daemon.start();
        CPPUNIT_ASSERT(!std::filesystem::is_symlink(file));
        CPPUNIT_ASSERT_EQUAL(old + "\n", contentOf(elsewhere));
        CPPUNIT_ASSERT_EQUAL(401, as(old, "GET", "/api/tokens").status);
    }

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

    void testATokenIsMadeListedUsedAndRevoked()
    {
        _daemon.start();
        const Answer made = as(
            admin(), "POST", "/api/tokens",
            R"({"name":"bot","role":"run","services":["pay*"],"expiresAt":"2099-01-01T00:00:00Z"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        CPPUNIT_ASSERT_EQUAL(std::string("no-store"), made.headers.at("cache-control"));
        CPPUNIT_ASSERT_EQUAL(std::string("/api/tokens/bot"), made.headers.at("location"));
        const std::string secret = made.json()["token"].GetString();
        CPPUNIT_ASSERT_EQUAL(
            std::string("token_exists"),
            codeOf(as(admin(), "POST", "/api/tokens", R"({"name":"bot","role":"read"})")));
        CPPUNIT_ASSERT_EQUAL(200, as(secret, "GET", "/api/runs").status);

        const Answer list = as(admin(), "GET", "/api/tokens");
        CPPUNIT_ASSERT(list.body.find(secret) == std::string::npos);
        CPPUNIT_ASSERT(list.body.find("\"token\"") == std::string::npos);
        const auto tokens = list.json();
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType(2), tokens.Size());
        CPPUNIT_ASSERT_EQUAL(std::string("admin"), std::string(tokens[0]["name"].GetString()));
        const auto& bot = tokens[1];
        CPPUNIT_ASSERT_EQUAL(std::string("run"), std::string(bot["role"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("pay*"), std::string(bot["services"][0].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("2099-01-01T00:00:00.000Z"),
                             std::string(bot["expiresAt"].GetString()));
        CPPUNIT_ASSERT(bot["lastUsedAt"].IsString());

        CPPUNIT_ASSERT_EQUAL(200, as(admin(), "DELETE", "/api/tokens/bot").status);
        CPPUNIT_ASSERT_EQUAL(401, as(secret, "GET", "/api/runs").status);
        CPPUNIT_ASSERT_EQUAL(404, as(admin(), "DELETE", "/api/tokens/bot").status);
    }

    void testTokensSurviveARestartAndTheirSecretsAreNowhere()
    {
        _daemon.start();
        const std::string secret = token("bot", "operate");
        CPPUNIT_ASSERT_EQUAL(200, as(secret, "GET", "/api/runs").status);
        as(secret, "POST", "/api/runs",
           R"({"pipeline":{"stages":)" + listOf({shell("env")}) + "}}");
        _daemon.stop();
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(200, as(secret, "GET", "/api/runs").status);
        const auto tokens = as(admin(), "GET", "/api/tokens").json();
        CPPUNIT_ASSERT(tokens[1]["lastUsedAt"].IsString());
        _daemon.stop();
        CPPUNIT_ASSERT(_daemon.output().find(secret) == std::string::npos);
        for (const auto& entry : std::filesystem::recursive_directory_iterator(_daemon.state()))
            if (entry.is_regular_file())
                CPPUNIT_ASSERT_MESSAGE(entry.path(),
                                       contentOf(entry.path()).find(secret) == std::string::npos);
    }

    void testWhatIsAskedForATokenIsChecked()
    {
        _daemon.start();
        for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
                 {R"({})", "name"},
                 {R"({"name":"","role":"read"})", "name"},
                 {R"({"name":"a/b","role":"read"})", "name"},
                 {R"({"name":"1a","role":"read"})", "name"},
                 {R"({"name":"agent","role":"read"})", "name"},
                 {R"({"name":"a"})", "role"},
                 {R"({"name":"a","role":"root"})", "role"},
                 {R"({"name":"a","role":"read","services":"x"})", "services"},
                 {R"({"name":"a","role":"read","services":[""]})", "services"},
                 {R"({"name":"a","role":"read","services":["a\nb"]})", "services"},
                 {R"({"name":"a","role":"admin","services":["a"]})", "services"},
                 {R"({"name":"a","role":"read","expiresAt":"2001-01-01T00:00:00Z"})", "expiresAt"},
                 {R"({"name":"a","role":"read","proxy":1})", "proxy"},
                 {R"({"name":"a","role":"read","digest":"x"})", "digest"}})
        {
            const Answer answer = as(admin(), "POST", "/api/tokens", body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body + answer.body, 400, answer.status);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, field,
                                         std::string(answer.json()["error"]["field"].GetString()));
        }
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType(1),
                             as(admin(), "GET", "/api/tokens").json().Size());
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
        waitFor(
            "the run's end",
            [&]
            {
                return std::string(
                           as(reader, "GET", "/api/runs/" + run).json()["status"].GetString()) ==
                       "SUCCESS";
            });
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
        waitFor(
            "the run's end",
            [&]
            {
                return std::string(
                           as(reader, "GET", "/api/runs/" + ownRun).json()["status"].GetString()) ==
                       "SUCCESS";
            });
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

    void testStreamsEndWithTheirToken()
    {
        _daemon.start();
        const std::string operates = token("operator", "operate");
        const std::string run = inlineRun(operates, "sleep 971");
        const std::string stage =
            as(operates, "GET", "/api/stages?runId=" + run).json()[0]["id"].GetString();
        const std::string revoked = token("revoked", "read");
        StreamClient events(_daemon.url(), "/api/events", bearer(revoked));
        StreamClient log(_daemon.url(), "/api/stages/" + stage + "/log?follow=1", bearer(revoked));
        StreamClient other(_daemon.url(), "/api/events", bearer(operates));
        CPPUNIT_ASSERT_EQUAL(200, events.status);
        CPPUNIT_ASSERT_EQUAL(200, log.status);
        as(admin(), "DELETE", "/api/tokens/revoked");
        events.all();
        log.all();

        const std::string expiring =
            token("expiring", "read", agent::formatTime(agent::nowMs() + 1500));
        StreamClient late(_daemon.url(), "/api/events", bearer(expiring));
        CPPUNIT_ASSERT_EQUAL(200, late.status);
        late.all();
        CPPUNIT_ASSERT_EQUAL(401, as(expiring, "GET", "/api/runs").status);
        CPPUNIT_ASSERT_EQUAL(200, as(operates, "POST", "/api/runs/" + run + "/stop").status);
        other.untilText("STOPPED");
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

    void testCredentialsOfTheUnitAreTokens()
    {
        const auto folder = _daemon.folder() / "credentials";
        std::filesystem::create_directories(folder);
        const std::string secret(40, 'x');
        std::ofstream(folder / "tokens_run.forge") << secret << '\n';
        std::ofstream(folder / "tokens_run.short") << "guessable\n";
        std::ofstream(folder / "tokens_boss.forge") << secret << "2\n";
        std::ofstream(folder / "tls.key") << "something else\n";
        _daemon.setEnvironment("CREDENTIALS_DIRECTORY", folder);
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(200, as(secret, "GET", "/api/runs").status);
        CPPUNIT_ASSERT_EQUAL(403, as(secret, "POST", "/api/agent/drain").status);
        const auto tokens = as(admin(), "GET", "/api/tokens").json();
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType(2), tokens.Size());
        CPPUNIT_ASSERT_EQUAL(std::string("credential"),
                             std::string(tokens[1]["source"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("token_from_outside"),
                             codeOf(as(admin(), "DELETE", "/api/tokens/forge")));
        const std::string output = _daemon.output();
        CPPUNIT_ASSERT(output.find("tokens_run.short is no token") != std::string::npos);
        CPPUNIT_ASSERT(output.find("tokens_boss.forge is no token") != std::string::npos);
        CPPUNIT_ASSERT(output.find("guessable") == std::string::npos);

        std::ofstream(folder / "tokens_run.forge") << std::string(40, 'y') << '\n';
        _daemon.signal(SIGHUP);
        waitFor("the new credential",
                [&] { return as(std::string(40, 'y'), "GET", "/api/runs").status == 200; });
        CPPUNIT_ASSERT(as(secret, "GET", "/api/runs").status != 200);
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

    void testANarrowedTokenSeesItsServicesOnly()
    {
        _daemon.writeService("payment", service("payment"));
        _daemon.writeService("shop", service("shop"));
        _daemon.start();
        const std::string mine = narrowed("mine", "operate", "pay*");
        const std::string own = started(mine, "payment");
        const std::string other = started(admin(), "shop");
        const std::string inlined = inlineRun(admin());
        for (const auto& run : {own, other, inlined})
            waitFor("the runs' end",
                    [&]
                    {
                        return std::string(as(admin(), "GET", "/api/runs/" + run)
                                               .json()["status"]
                                               .GetString()) == "SUCCESS";
                    });

        const std::string ownStage = stageOf(own);
        for (const auto& path :
             {"/api/runs/" + own, "/api/runs/" + own + "/history", "/api/stages/" + ownStage,
              "/api/stages/" + ownStage + "/log", "/api/stages/" + ownStage + "/history",
              "/api/logs?stageId=" + ownStage, std::string("/api/services/payment")})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, 200, as(mine, "GET", path).status);
        for (const auto& run : {other, inlined})
        {
            const std::string stage = stageOf(run);
            for (const auto& [method, path] : std::vector<std::pair<std::string, std::string>>{
                     {"GET", "/api/runs/" + run},
                     {"GET", "/api/runs/" + run + "/history"},
                     {"DELETE", "/api/runs/" + run},
                     {"POST", "/api/runs/" + run + "/stop"},
                     {"POST", "/api/runs/" + run + "/rerun"},
                     {"POST", "/api/runs/" + run + "/approve-deployment"},
                     {"GET", "/api/stages/" + stage},
                     {"GET", "/api/stages/" + stage + "/log"},
                     {"GET", "/api/stages/" + stage + "/history"},
                     {"GET", "/api/stages/" + stage + "/processes"},
                     {"DELETE", "/api/stages/" + stage},
                     {"GET", "/api/logs?stageId=" + stage},
                     {"GET", "/api/events?runId=" + run},
                     {"GET", "/api/events?stageId=" + stage}})
            {
                const Answer answer = as(mine, method, path);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(method + " " + path + answer.body, 404, answer.status);
            }
            CPPUNIT_ASSERT_EQUAL(404,
                                 as(mine, "PATCH", "/api/runs/" + run, R"({"priority":1})").status);
            CPPUNIT_ASSERT_EQUAL(
                404, as(mine, "PATCH", "/api/stages/" + stage, R"({"status":"IDLE"})").status);
            CPPUNIT_ASSERT_EQUAL(std::string("[]"),
                                 as(mine, "GET", "/api/stages?runId=" + run).body);
            CPPUNIT_ASSERT_EQUAL(400, as(mine, "GET", "/api/runs?before=" + run).status);
        }
        CPPUNIT_ASSERT_EQUAL(404, as(mine, "GET", "/api/services/shop").status);
        CPPUNIT_ASSERT_EQUAL(404, as(mine, "POST", "/api/runs", R"({"service":"shop"})").status);
        CPPUNIT_ASSERT_EQUAL(
            std::string("token_narrowed"),
            codeOf(as(mine, "POST", "/api/runs",
                      R"({"pipeline":{"stages":)" + listOf({shell("true")}) + "}}")));
        for (const char* path : {"/api/agent/drain", "/api/agent/resume"})
            CPPUNIT_ASSERT_EQUAL(std::string("token_narrowed"), codeOf(as(mine, "POST", path)));
        const auto services = as(mine, "GET", "/api/services").json();
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType(1), services.Size());
        const auto agent = as(mine, "GET", "/api/agent").json();
        CPPUNIT_ASSERT(agent.HasMember("version") && !agent.HasMember("queueLength"));
        const std::string metrics = as(mine, "GET", "/metrics").body;
        CPPUNIT_ASSERT(metrics.find("stage_agent_stages_stuck 0") != std::string::npos);
        CPPUNIT_ASSERT(metrics.find("stage_agent_slots") == std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), as(mine, "GET", "/api/stuck").body);

        // The key of another's run must not give it away.
        const auto withKey = [&](const std::string& secret, const std::string& body)
        {
            return _daemon.request(
                "POST", "/api/runs", body,
                {{"Authorization", "Bearer " + secret}, {"Idempotency-Key", "k"}});
        };
        CPPUNIT_ASSERT_EQUAL(201, withKey(admin(), R"({"service":"shop"})").status);
        CPPUNIT_ASSERT_EQUAL(404, withKey(mine, R"({"service":"shop"})").status);
    }

    void testANarrowedListIsPagedRight()
    {
        for (const char* name : {"a1", "a2", "a3", "b1"})
            _daemon.writeService(name, service(name));
        _daemon.start();
        const std::string mine = narrowed("mine", "read", "a*");
        std::vector<std::string> wanted;
        for (int i = 0; i < 40; ++i)
        {
            const std::string name = i % 4 == 3 ? "b1" : "a" + std::to_string(i % 4 + 1);
            const std::string run = started(admin(), name);
            if (name != "b1")
                wanted.insert(wanted.begin(), run);
        }
        for (const char* limit : {"1", "7", "29", "30", "1000"})
        {
            std::vector<std::string> found;
            std::string path = std::string("/api/runs?limit=") + limit;
            while (!path.empty())
            {
                const Answer page = as(mine, "GET", path);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(page.body, 200, page.status);
                const auto runs = page.json();
                for (const auto& run : runs.GetArray())
                    found.emplace_back(run["id"].GetString());
                const auto link = page.headers.find("link");
                path = link == page.headers.end()
                           ? ""
                           : link->second.substr(1, link->second.find('>') - 1);
            }
            CPPUNIT_ASSERT_MESSAGE(limit, found == wanted);
        }
        const auto ofOther = as(mine, "GET", "/api/runs?serviceId=b1");
        CPPUNIT_ASSERT_EQUAL(400, ofOther.status);
        const auto nobody = narrowed("nobody", "read", "z*");
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), as(nobody, "GET", "/api/runs").body);
    }

    void testANarrowedTokenIsToldOfItsServicesOnly()
    {
        _daemon.writeService("payment", service("payment"));
        _daemon.writeService("shop", service("shop"));
        _daemon.start();
        const std::string mine = narrowed("mine", "read", "payment");
        StreamClient events(_daemon.url(), "/api/events", bearer(mine));
        const std::string other = started(admin(), "shop");
        waitFor(
            "the other run's end",
            [&]
            {
                return std::string(
                           as(admin(), "GET", "/api/runs/" + other).json()["status"].GetString()) ==
                       "SUCCESS";
            });
        as(admin(), "DELETE", "/api/runs/" + other);
        const std::string own = started(admin(), "payment");
        waitFor(
            "the own run's end",
            [&]
            {
                return std::string(
                           as(admin(), "GET", "/api/runs/" + own).json()["status"].GetString()) ==
                       "SUCCESS";
            });
        as(admin(), "DELETE", "/api/runs/" + own);
        const std::string told = events.untilText("event: deleted");
        CPPUNIT_ASSERT(told.find(own) != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(told, told.find(other) == std::string::npos);
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

private:
    static std::string bearer(const std::string& secret)
    {
        return "Authorization: Bearer " + secret + "\r\n";
    }

    static std::string codeOf(const Answer& answer)
    {
        return answer.json()["error"]["code"].GetString();
    }

    std::string admin() const
    {
        const std::string text = contentOf(_daemon.state() / "admin.token");
        return text.substr(0, text.find('\n'));
    }

    /// Sends the request with this token; empty: without one.
    Answer as(const std::string& secret, const std::string& method, const std::string& path,
              const std::string& body = "") const
    {
        return _daemon.request(method, path, body,
                               {{"Authorization", secret.empty() ? "" : "Bearer " + secret}});
    }

    std::string token(const std::string& name, const std::string& role,
                      const std::string& expires = "") const
    {
        const Answer made =
            as(admin(), "POST", "/api/tokens",
               R"({"name":")" + name + R"(","role":")" + role + "\"" +
                   (expires.empty() ? "" : R"(,"expiresAt":")" + expires + "\"") + "}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["token"].GetString();
    }

    std::string narrowed(const std::string& name, const std::string& role,
                         const std::string& pattern) const
    {
        const Answer made = as(admin(), "POST", "/api/tokens",
                               R"({"name":")" + name + R"(","role":")" + role +
                                   R"(","services":[")" + pattern + "\"]}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["token"].GetString();
    }

    std::string started(const std::string& secret, const std::string& name) const
    {
        const Answer made = as(secret, "POST", "/api/runs", R"({"service":")" + name + "\"}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["id"].GetString();
    }

    std::string inlineRun(const std::string& secret, const std::string& command = "true",
                          const std::string& person = "") const
    {
        std::map<std::string, std::string> headers{
            {"Authorization", secret.empty() ? "" : "Bearer " + secret}};
        if (!person.empty())
            headers["X-Forwarded-User"] = person;
        const Answer made =
            _daemon.request("POST", "/api/runs",
                            R"({"pipeline":{"stages":)" + listOf({shell(command)}) + "}}", headers);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["id"].GetString();
    }

    std::string stageOf(const std::string& run) const
    {
        return as(admin(), "GET", "/api/stages?runId=" + run).json()[0]["id"].GetString();
    }

    /// Who submitted the run.
    std::string actorOf(const std::string& run) const
    {
        return as(admin(), "GET", "/api/runs/" + run + "/history").json()[0]["actor"].GetString();
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(AccessApiTest);
