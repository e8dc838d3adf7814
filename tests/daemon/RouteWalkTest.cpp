#include "agent/api/Routes.h"
#include "tests/support/Daemon.h"
#include "tests/support/RawClient.h"
#include "tests/support/Stages.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <functional>

using agent::Role;
using agent::Routes;
using agent::test::Answer;
using agent::test::Daemon;
using agent::test::RawAnswer;
using agent::test::RawClient;

namespace
{

std::string replaced(std::string text, const std::string& from, const std::string& to)
{
    for (std::size_t at = text.find(from); at != std::string::npos;
         at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    return text;
}

std::string hex(char c)
{
    constexpr std::string_view digits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    return std::string("%") + digits[byte >> 4U] + digits[byte & 0xFU];
}

std::string encodedAll(const std::string& path)
{
    std::string out;
    for (const char c : path)
        out += c == '/' ? "/" : hex(c);
    return out;
}

std::string upper(std::string text)
{
    for (char& c : text)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
}

/// Ways to write a path so that something on the way may read another one.
std::vector<std::string> mutationsOf(const std::string& path, const std::string& host)
{
    const std::string rest = path.substr(1);
    const std::size_t second = std::min(path.find('/', 1), path.size());
    const std::string first = path.substr(0, second);
    const std::string tail = path.substr(second);
    const std::string last = path.substr(0, path.size() - 1);
    const auto joined = [&](const std::string& slash)
    { return first + slash + tail.substr(tail.empty() ? 0 : 1); };
    return {
        path,
        "/" + path,
        "//" + path,
        joined("//"),
        replaced(path, "/", "//"),
        path + "/",
        path + "//",
        path + "/.",
        path + "/..",
        "/." + path,
        "/x/.." + path,
        "/.." + path,
        "/api/.." + path,
        "/healthz/.." + path,
        "/dashboard/.." + path,
        "/%2e" + path,
        "/%2e%2e" + path,
        "/x/%2e%2e" + path,
        "/dashboard/..%2f" + rest,
        "/dashboard/%2e%2e%2f" + rest,
        "/..;" + path,
        "/;" + path,
        path + ";",
        path + ";a=b",
        first + ";a=b" + tail,
        upper(path),
        "/" + upper(path.substr(1, 1)) + path.substr(2),
        "/" + hex(path[1]) + path.substr(2),
        "/%25" + hex(path[1]).substr(1) + path.substr(2),
        last + hex(path.back()),
        encodedAll(path),
        joined("%2f"),
        joined("%2F"),
        joined("%252f"),
        joined("\\"),
        joined("%5c"),
        joined("%c0%af"),
        joined("%ef%bc%8f"),
        path + "?",
        path + "?x=1",
        path + "?/healthz",
        path + "#",
        path + "#/healthz",
        path + "%00",
        path + "%20",
        path + "%09",
        path + "%0a",
        path + "%0d%0aX:%20y",
        path + ".json",
        "http://" + host + path,
        "https://" + host + path,
        "http://evil.example" + path,
        host,
        "*",
        rest,
    };
}

} // namespace

/// Every route, with every kind of token that must not be enough for it, written in many ways.
class RouteWalkTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RouteWalkTest);
    CPPUNIT_TEST(testNoRouteAnswersWhoMayNot);
    CPPUNIT_TEST(testEveryRouteAnswersWhoMay);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _daemon.set("auth.required", "true");
        for (const char* name : {"shop", "other"})
            _daemon.writeService(
                name,
                "name: " + std::string(name) +
                    "\nstages: [{ type: BUILD, plugin: shell, with: { command: 'true' } }]\n");
        _daemon.start();
        _run = _daemon.submitService("shop");
        _daemon.waitForRun(_run, "SUCCESS");
        _stage = _daemon.stagesOf(_run)[0];
        for (const char* role : {"read", "run", "operate"})
            _tokens[role] = token(std::string("a-") + role, role);
        _tokens["admin"] = _daemon.token();
        (void)token("victim", "read");
        _tokens["other"] = token("narrowed", "operate", R"(,"services":["other"])");
        _tokens["revoked"] = token("revoked", "operate");
        CPPUNIT_ASSERT_EQUAL(200, _daemon.request("DELETE", "/api/tokens/revoked").status);
        _tokens["expired"] =
            token("expired", "operate",
                  R"(,"expiresAt":")" + agent::formatTime(agent::nowMs() + 300) + "\"");
        agent::test::waitFor("a token's end", [&]
                             { return ask("GET", "/api/runs", _tokens["expired"]).status == 401; });
    }

    void testNoRouteAnswersWhoMayNot()
    {
        const std::string host = _daemon.url().substr(7);
        int asked = 0;
        for (const auto& route : Routes::all())
        {
            if (!route.role)
                continue;
            const std::string path = filled(route.path);
            for (const auto& [name, secret] : insufficient(*route.role))
                for (const auto& target : mutationsOf(path, host))
                {
                    const RawAnswer answer = ask(route.method, target, secret);
                    const std::string what =
                        route.method + " " + target + " as " + name + ": " + answer.head;
                    CPPUNIT_ASSERT_MESSAGE(what, answer.status >= 400 && answer.status < 500);
                    ++asked;
                }
            for (const auto& target : mutationsOf(path, host))
            {
                const RawAnswer answer = ask(route.method, target, _tokens["other"]);
                const std::string what = route.method + " " + target + ": " + answer.head;
                CPPUNIT_ASSERT_MESSAGE(what, answer.status < 500);
                CPPUNIT_ASSERT_MESSAGE(
                    what + answer.body,
                    answer.body.find("\"shop\"") == std::string::npos &&
                        (answer.status >= 400 || answer.body.find(_run) == std::string::npos));
                CPPUNIT_ASSERT_MESSAGE(what, answer.status >= 400 || isOfTheCallersOwn(route.path));
                ++asked;
            }
        }
        CPPUNIT_ASSERT(asked > 5000);
        // Nothing was done.
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _daemon.statusOf(_run));
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), _daemon.stagesOf(_run).size());
        CPPUNIT_ASSERT(!_daemon.get("/api/agent").json()["draining"].GetBool());
        CPPUNIT_ASSERT(_daemon.get("/api/tokens").body.find("\"victim\"") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType(1),
                             _daemon.get("/api/runs?serviceId=shop").json().Size());
    }

    /// The walk would pass where nothing answers at all.
    void testEveryRouteAnswersWhoMay()
    {
        for (const auto& route : Routes::all())
        {
            const std::string secret =
                route.role ? _tokens[std::string(toString(*route.role))] : std::string();
            const RawAnswer answer = ask(route.method, filled(route.path), secret);
            const std::string what = route.method + " " + route.path + ": " + answer.head;
            const bool code = route.path == "/api/dashboard/sessions"; // none was asked for
            CPPUNIT_ASSERT_MESSAGE(what, code || (answer.status != 401 && answer.status != 403 &&
                                                  answer.status != 429));
            // A hook needs a signature, which it looks for in deliveries only.
            const bool hook = route.path.starts_with("/hooks/");
            if (!route.role && !code)
                CPPUNIT_ASSERT_EQUAL_MESSAGE(what, hook ? 400 : 200, answer.status);
        }
    }

private:
    using Tokens = std::vector<std::pair<std::string, std::string>>;

    std::string token(const std::string& name, const std::string& role,
                      const std::string& more = "") const
    {
        const Answer made = _daemon.post("/api/tokens", R"({"name":")" + name + R"(","role":")" +
                                                            role + "\"" + more + "}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["token"].GetString();
    }

    [[nodiscard]] Tokens insufficient(Role needed) const
    {
        Tokens tokens{{"nobody", ""},
                      {"a stranger", "sat_" + std::string(64, '0')},
                      {"an expired token", _tokens.at("expired")},
                      {"a revoked token", _tokens.at("revoked")}};
        for (const Role role : {Role::Read, Role::Run, Role::Operate})
            if (role < needed)
                tokens.emplace_back(toString(role), _tokens.at(std::string(toString(role))));
        return tokens;
    }

    /// Routes without an id, where a narrowed token is answered of what is its own.
    static bool isOfTheCallersOwn(const std::string& path)
    {
        for (const char* own :
             {"/api/stages", "/api/logs", "/api/events", "/api/runs", "/api/services", "/api/stuck",
              "/api/agent", "/metrics", "/api/dashboard/codes", "/api/openapi.yaml"})
            if (path == own)
                return true;
        return false;
    }

    [[nodiscard]] std::string filled(const std::string& path) const
    {
        std::string done = path;
        if (path.find("/stages/") != std::string::npos)
            done = replaced(done, ":id", _stage);
        done = replaced(done, ":id", _run);
        if (path == "/api/services/:name")
            return replaced(done, ":name", "shop");
        if (path == "/api/tokens/:name")
            return replaced(done, ":name", "victim");
        done = replaced(done, ":path", "dist/app.js");
        return replaced(done, ":name", "app.js");
    }

    static std::string bodyFor(const std::string& method, const std::string& target)
    {
        if (method == "PATCH" && target.find("stages") != std::string::npos)
            return R"({"reason":"walked"})";
        if (method == "PATCH")
            return R"({"priority":1})";
        if (target.find("tokens") != std::string::npos && method == "POST")
            return R"({"name":"walked","role":"admin"})";
        if (target.find("sessions") != std::string::npos)
            return R"({"code":"none"})";
        const bool starts = method == "POST" && target.find("api/runs") != std::string::npos;
        return starts && target.find("/re") == std::string::npos ? R"({"service":"shop"})" : "";
    }

    /// Sends these bytes, as no client would put them right.
    [[nodiscard]] RawAnswer ask(const std::string& method, const std::string& target,
                                const std::string& secret) const
    {
        RawClient client(_daemon.url());
        const std::string body = bodyFor(method, target);
        client.send(method + " " + target + " HTTP/1.1\r\nHost: " + _daemon.url().substr(7) +
                    "\r\n" + (secret.empty() ? "" : "Authorization: Bearer " + secret + "\r\n") +
                    (body.empty() ? "" : "Content-Type: application/json\r\n") +
                    "Content-Length: " + std::to_string(body.size()) +
                    "\r\nConnection: close\r\n\r\n" + body);
        return client.receive(target.find("events") != std::string::npos);
    }

    Daemon _daemon;
    std::string _run;
    std::string _stage;
    std::map<std::string, std::string> _tokens;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RouteWalkTest);
