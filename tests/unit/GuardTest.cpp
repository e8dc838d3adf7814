#include "agent/api/Guard.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <functional>
#include <string>

namespace agent
{
namespace
{

using Headers = std::map<std::string, std::string>;

std::string outcome(const std::function<void()>& work)
{
    try
    {
        work();
        return "passed";
    }
    catch (const Refusal& refusal)
    {
        return std::to_string(refusal.status) + " " + refusal.code;
    }
}

std::string ask(const GuardOptions& options, const Headers& headers,
                const std::string& method = "GET", const std::string& body = "")
{
    const Guard guard(options);
    Request request;
    request.method = method;
    request.segments = {"api", "runs"};
    request.headers = headers;
    request.body = body;
    return outcome([&] { guard.check(request); });
}

const GuardOptions local{.address = "127.0.0.1", .port = 7824, .hosts = {"ci.example.org", "x:99"}};

std::string askHost(const std::string& host, const GuardOptions& options = local)
{
    return ask(options, {{"host", host}});
}

std::string askTarget(const std::string& target)
{
    return outcome([&] { parseTarget(target); });
}

} // namespace

class GuardTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(GuardTest);
    CPPUNIT_TEST(testAnswersForItsOwnNames);
    CPPUNIT_TEST(testRefusesForeignHosts);
    CPPUNIT_TEST(testDefaultPortMayBeLeftOut);
    CPPUNIT_TEST(testPublicAddressAnswersForItselfAndConfiguredNames);
    CPPUNIT_TEST(testTheOtherFamilyIsNoOriginWhereItIsNotListenedOn);
    CPPUNIT_TEST(testTheUnixSocketIsLocalhost);
    CPPUNIT_TEST(testForeignOriginsAreRefused);
    CPPUNIT_TEST(testCrossSiteRequestsAreRefused);
    CPPUNIT_TEST(testOnlyALinkToTheDashboardMayComeFromElsewhere);
    CPPUNIT_TEST(testBodiesMustBeJson);
    CPPUNIT_TEST(testSplitsBeforeDecoding);
    CPPUNIT_TEST(testDecodesTheQuery);
    CPPUNIT_TEST(testRefusesAmbiguousPaths);
    CPPUNIT_TEST(testRefusesBrokenQueries);
    CPPUNIT_TEST_SUITE_END();

    const std::string _passed = "passed";
    const std::string _wrongHost = "421 wrong_host";
    const std::string _foreign = "403 foreign_origin";

public:
    void testAnswersForItsOwnNames()
    {
        for (const char* host : {"127.0.0.1:7824", "localhost:7824", "LOCALHOST:7824", "[::1]:7824",
                                 "ci.example.org", "ci.example.org:7824", "x:99"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(host, _passed, askHost(host));
    }

    void testRefusesForeignHosts()
    {
        for (const char* host :
             {"", "evil.example", "evil.example:7824", "127.0.0.1", "localhost", "localhost:80",
              "localhost.:7824", "127.0.0.1:7824.evil.example", "localhost:7824@evil",
              " localhost:7824", "127.1:7824", "0.0.0.0:7824", "ci.example.org:1", "x"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(host, _wrongHost, askHost(host));
        CPPUNIT_ASSERT_EQUAL(_wrongHost, ask(local, {}));
    }

    void testDefaultPortMayBeLeftOut()
    {
        const GuardOptions options{.address = "127.0.0.1", .port = 80, .hosts = {}};
        CPPUNIT_ASSERT_EQUAL(_passed, askHost("localhost", options));
        CPPUNIT_ASSERT_EQUAL(_passed, askHost("localhost:80", options));
    }

    void testPublicAddressAnswersForItselfAndConfiguredNames()
    {
        const GuardOptions options{.address = "192.0.2.7", .port = 7824, .hosts = {"ci"}};
        CPPUNIT_ASSERT_EQUAL(_passed, askHost("192.0.2.7:7824", options));
        CPPUNIT_ASSERT_EQUAL(_passed, askHost("ci:7824", options));
        CPPUNIT_ASSERT_EQUAL(_wrongHost, askHost("localhost:7824", options));
        CPPUNIT_ASSERT_EQUAL(_wrongHost, askHost("192.0.2.8:7824", options));
        CPPUNIT_ASSERT_EQUAL(_wrongHost,
                             askHost("localhost:7824", {.address = "127.0.0.3", .port = 7824}));
        const GuardOptions every{.address = "::", .port = 7824, .hosts = {}};
        CPPUNIT_ASSERT_EQUAL(_passed, askHost("[::]:7824", every));
        CPPUNIT_ASSERT_EQUAL(_passed, askHost("localhost:7824", every));
        CPPUNIT_ASSERT_EQUAL(_wrongHost, askHost("evil.example:7824", every));
    }

    /// Where nobody listens on [::1], another program could: its page is not ours.
    void testTheOtherFamilyIsNoOriginWhereItIsNotListenedOn()
    {
        const GuardOptions only4{.address = "127.0.0.1", .port = 7824, .loopback6 = false};
        CPPUNIT_ASSERT_EQUAL(_wrongHost, askHost("[::1]:7824", only4));
        CPPUNIT_ASSERT_EQUAL(
            _foreign, ask(only4, {{"host", "localhost:7824"}, {"origin", "http://[::1]:7824"}}));
        CPPUNIT_ASSERT_EQUAL(_passed, askHost("localhost:7824", only4));
    }

    void testTheUnixSocketIsLocalhost()
    {
        const Guard guard(local);
        Request request;
        request.peer.door = Peer::Door::Unix;
        const auto host = [&](const std::string& name)
        {
            request.headers["host"] = name;
            return outcome([&] { guard.check(request); });
        };
        CPPUNIT_ASSERT_EQUAL(_passed, host("localhost"));
        CPPUNIT_ASSERT_EQUAL(_passed, host("localhost:7824"));
        CPPUNIT_ASSERT_EQUAL(_wrongHost, host("evil.example"));
        CPPUNIT_ASSERT_EQUAL(_wrongHost, askHost("localhost"));
    }

    void testForeignOriginsAreRefused()
    {
        const auto askOrigin = [](const std::string& origin) {
            return ask(local, {{"host", "localhost:7824"}, {"origin", origin}});
        };
        for (const char* origin : {"http://localhost:7824", "http://127.0.0.1:7824",
                                   "https://ci.example.org", "HTTP://LOCALHOST:7824"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(origin, _passed, askOrigin(origin));
        for (const char* origin :
             {"null", "", "http://evil.example", "http://localhost", "http://localhost:3000",
              "http://localhost:7824.evil.example", "file://localhost:7824", "localhost:7824",
              "http://localhost:7824/", "http://localhost:7824, http://evil.example"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(origin, _foreign, askOrigin(origin));
    }

    void testCrossSiteRequestsAreRefused()
    {
        const auto askSite = [](const std::string& site) {
            return ask(local, {{"host", "localhost:7824"}, {"sec-fetch-site", site}});
        };
        for (const char* site : {"same-origin", "none", "same-site"})
            CPPUNIT_ASSERT_EQUAL(_passed, askSite(site));
        CPPUNIT_ASSERT_EQUAL(_foreign, askSite("cross-site"));
        CPPUNIT_ASSERT_EQUAL(_foreign, askSite("Cross-Site"));
    }

    void testOnlyALinkToTheDashboardMayComeFromElsewhere()
    {
        const auto open = [](const std::vector<std::string>& segments, const std::string& mode,
                             const std::string& destination, const std::string& method = "GET")
        {
            Request request;
            request.method = method;
            request.segments = segments;
            request.headers = {{"host", "localhost:7824"},
                               {"sec-fetch-site", "cross-site"},
                               {"sec-fetch-mode", mode},
                               {"sec-fetch-dest", destination}};
            return outcome([&] { Guard(local).check(request); });
        };
        CPPUNIT_ASSERT_EQUAL(_passed, open({}, "navigate", "document"));
        CPPUNIT_ASSERT_EQUAL(_foreign, open({}, "navigate", "iframe"));
        CPPUNIT_ASSERT_EQUAL(_foreign, open({}, "no-cors", "document"));
        CPPUNIT_ASSERT_EQUAL(_foreign, open({}, "navigate", "document", "POST"));
        CPPUNIT_ASSERT_EQUAL(_foreign, open({"api", "runs"}, "navigate", "document"));
        CPPUNIT_ASSERT_EQUAL(_foreign, open({"dashboard", "app.js"}, "navigate", "document"));
    }

    void testBodiesMustBeJson()
    {
        const auto askType =
            [](const std::string& method, const std::string& type, const std::string& body)
        {
            Headers headers{{"host", "localhost:7824"}};
            if (!type.empty())
                headers["content-type"] = type;
            return ask(local, headers, method, body);
        };
        const std::string unsupported = "415 unsupported_media_type";
        for (const char* type :
             {"application/json", "Application/JSON; charset=utf-8", "application/json ;x=y"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(type, _passed, askType("POST", type, "{}"));
        for (const char* type : {"", "text/plain", "application/jsonx",
                                 "application/x-www-form-urlencoded", "multipart/form-data",
                                 "text/plain, application/json", "application/json, text/plain"})
            for (const char* method : {"POST", "PATCH", "PUT", "DELETE"})
                CPPUNIT_ASSERT_EQUAL_MESSAGE(type, unsupported, askType(method, type, "{}"));
        CPPUNIT_ASSERT_EQUAL(_passed, askType("POST", "", ""));
        CPPUNIT_ASSERT_EQUAL(_passed, askType("GET", "", "x"));
    }

    void testSplitsBeforeDecoding()
    {
        const Target target = parseTarget("/api/stages/a%20%C3%A4+;x/?q");
        CPPUNIT_ASSERT_EQUAL(std::string("/api/stages/a%20%C3%A4+;x/"), target.path);
        const std::vector<std::string> segments{"api", "stages", "a \xc3\xa4+;x", ""};
        CPPUNIT_ASSERT(segments == target.segments);
        CPPUNIT_ASSERT(parseTarget("/").segments.empty());
        CPPUNIT_ASSERT(std::vector<std::string>{"healthz"} == parseTarget("/healthz").segments);
    }

    void testDecodesTheQuery()
    {
        const Target target = parseTarget("/a?runId=1%2F2&b=x+y&&c&runId=3&=v");
        const std::vector<std::pair<std::string, std::string>> query{
            {"runId", "1/2"}, {"b", "x y"}, {"c", ""}, {"runId", "3"}, {"", "v"}};
        CPPUNIT_ASSERT(query == target.query);
        CPPUNIT_ASSERT(parseTarget("/a?").query.empty());
    }

    void testRefusesAmbiguousPaths()
    {
        for (const char* target :
             {"",      "a",       "//",         "//api",         "/api//runs", "/api/runs//",
              "/..",   "/../etc", "/api/../x",  "/./api",        "/api/.",     "/%2e%2e/x",
              "/.%2E", "/%2e",    "/a%2fb",     "/a%2Fb",        "/a%5cb",     "/a\\b",
              "/a%00", "/a%0a",   "/a%7f",      "/a%",           "/a%2",       "/a%zz",
              "/a%C3", "/%C0%AF", "/%ED%A0%80", "/%F5%80%80%80", "/%E0%80%AF"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, std::string("400 malformed_path"),
                                         askTarget(target));
        for (const char* target : {"/...", "/a..b", "/.well-known", "/a%252fb"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, _passed, askTarget(target));
    }

    void testRefusesBrokenQueries()
    {
        for (const char* target : {"/?a=%", "/?%zz", "/?a=%00", "/?a=%ff", "/?a=%C3("})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, std::string("400 malformed_query"),
                                         askTarget(target));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GuardTest);

} // namespace agent
