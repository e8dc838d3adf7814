#include "agent/api/BasePath.h"

#include "tests/support/TestServer.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

using test::RawClient;
using test::TestServer;

class BasePathTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(BasePathTest);
    CPPUNIT_TEST(testHandlersSeePathsWithoutIt);
    CPPUNIT_TEST(testWhatIsOutsideIsNotThere);
    CPPUNIT_TEST(testTheBareOneLeadsToItsFolder);
    CPPUNIT_TEST(testAnswersNameIt);
    CPPUNIT_TEST(testWhatMayBeOne);
    CPPUNIT_TEST_SUITE_END();

public:
    void testHandlersSeePathsWithoutIt()
    {
        TestServer server({.basePath = "/tools/ci"});
        RawClient client(server.url());
        CPPUNIT_ASSERT_EQUAL(std::string("GET / "), client.get("/tools/ci/").body);
        CPPUNIT_ASSERT_EQUAL(std::string("GET /a/b "), client.get("/tools/ci/a/b?x=1").body);

        Request request{
            .method = "GET", .path = "/tools/ci/a%20b/c", .segments = {"tools", "ci", "a b", "c"}};
        BasePath("/tools/ci").enter(request);
        CPPUNIT_ASSERT(request.segments == (std::vector<std::string>{"a b", "c"}));
        Request root{.method = "GET", .path = "/tools/ci/", .segments = {"tools", "ci", ""}};
        BasePath("/tools/ci").enter(root);
        CPPUNIT_ASSERT(root.segments.empty());
    }

    void testWhatIsOutsideIsNotThere()
    {
        TestServer server({.basePath = "/ci"});
        RawClient client(server.url());
        for (const char* target : {"/", "/api/runs", "/cix", "/cix/a", "/CI/a", "/%63i/a"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, 404, client.get(target).status);
        CPPUNIT_ASSERT_EQUAL(400, client.get("/ci/../a").status);
        CPPUNIT_ASSERT_EQUAL(0, server.calls.load());
    }

    void testTheBareOneLeadsToItsFolder()
    {
        TestServer server({.basePath = "/ci"});
        RawClient client(server.url());
        const auto answer = client.get("/ci");
        CPPUNIT_ASSERT_EQUAL(308, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("/ci/"), answer.header("Location"));
    }

    void testAnswersNameIt()
    {
        const auto left = [](const std::string& path)
        {
            Response response;
            response.headers = {{"Location", "/api/runs/1"},
                                {"Link", "</api/runs?before=1>; rel=\"next\""},
                                {"ETag", "/x"}};
            BasePath(path).leave(response);
            return response.headers.at("Location") + " " + response.headers.at("Link") + " " +
                   response.headers.at("ETag");
        };
        CPPUNIT_ASSERT_EQUAL(std::string("/ci/api/runs/1 </ci/api/runs?before=1>; rel=\"next\" /x"),
                             left("/ci"));
        CPPUNIT_ASSERT_EQUAL(std::string("/api/runs/1 </api/runs?before=1>; rel=\"next\" /x"),
                             left(""));
    }

    void testWhatMayBeOne()
    {
        for (const char* right : {"/ci", "/a/b-c_d.e~1"})
            CPPUNIT_ASSERT_MESSAGE(right, isBasePath(right));
        for (const char* wrong :
             {"", "ci", "/", "/ci/", "//ci", "/a//b", "/a/../b", "/.", "/a b", "/a?b", "/%41"})
            CPPUNIT_ASSERT_MESSAGE(wrong, !isBasePath(wrong));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(BasePathTest);

} // namespace agent
