#include "tests/support/AccessFixture.h"
#include "tests/support/StreamClient.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <fstream>
#include <sys/stat.h>

using agent::test::AccessFixture;
using agent::test::Answer;
using agent::test::contentOf;
using agent::test::listOf;
using agent::test::shell;
using agent::test::StreamClient;
using agent::test::waitFor;

/// The admin token of the first start, and the tokens that the API makes, lists and revokes: docs/access.md.
class TokensApiTest: public CppUnit::TestFixture, private AccessFixture
{
    CPPUNIT_TEST_SUITE(TokensApiTest);
    CPPUNIT_TEST(testTheFirstStartWritesAnAdminToken);
    CPPUNIT_TEST(testALostAdminTokenIsMadeAnewAndTheOldOneEnds);
    CPPUNIT_TEST(testATokenIsMadeListedUsedAndRevoked);
    CPPUNIT_TEST(testTokensSurviveARestartAndTheirSecretsAreNowhere);
    CPPUNIT_TEST(testWhatIsAskedForATokenIsChecked);
    CPPUNIT_TEST(testStreamsEndWithTheirToken);
    CPPUNIT_TEST(testCredentialsOfTheUnitAreTokens);
    CPPUNIT_TEST_SUITE_END();

public:
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

    void testCredentialsOfTheUnitAreTokens()
    {
        const auto folder = _daemon.folder() / "credentials";
        std::filesystem::create_directories(folder);
        const std::string secret(40, 'x');
        std::ofstream(folder / "tokens_run.forge") << secret << '\n';
        std::ofstream(folder / "tokens_run.short") << "guessable\n";
        std::ofstream(folder / "tokens_boss.forge") << secret << "2\n";
        std::ofstream(folder / "tls.key") << "something else\n";
        for (const auto& file : std::filesystem::directory_iterator(folder))
            std::filesystem::permissions(file, std::filesystem::perms::owner_read);
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
};

CPPUNIT_TEST_SUITE_REGISTRATION(TokensApiTest);
