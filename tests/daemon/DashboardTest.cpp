// The page as a browser gets it; what it does is looked at in tests/browser.
#include "tests/support/Daemon.h"

#include <cppunit/extensions/HelperMacros.h>

#include <map>

using agent::test::Daemon;

class DashboardTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(DashboardTest);
    CPPUNIT_TEST(testEachFileHasItsTypeAndTheGuards);
    CPPUNIT_TEST(testPageRefersOnlyToExistingFiles);
    CPPUNIT_TEST(testPageContainsStyleAndFirstScript);
    CPPUNIT_TEST(testAnUnchangedFileIsNotResent);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.start(); }

    void testEachFileHasItsTypeAndTheGuards()
    {
        const std::map<std::string, std::string> types{
            {"/", "text/html; charset=utf-8"},
            {"/dashboard/app.js", "text/javascript; charset=utf-8"},
            {"/dashboard/ansi_up.min.js", "text/javascript; charset=utf-8"},
            {"/dashboard/style.css", "text/css; charset=utf-8"},
            {"/dashboard/icon.svg", "image/svg+xml"}};
        for (const auto& [path, type] : types)
        {
            const auto answer = _daemon.get(path);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, 200, answer.status);
            CPPUNIT_ASSERT_EQUAL(type, answer.headers.at("content-type"));
            CPPUNIT_ASSERT_EQUAL(std::string("nosniff"),
                                 answer.headers.at("x-content-type-options"));
            CPPUNIT_ASSERT_EQUAL(std::string("no-referrer"), answer.headers.at("referrer-policy"));
            const std::string policy = answer.headers.at("content-security-policy");
            for (const char* part : {"default-src 'none'", "script-src 'self'", "style-src 'self'",
                                     "frame-ancestors 'none'"})
                CPPUNIT_ASSERT_MESSAGE(policy, policy.find(part) != std::string::npos);
            CPPUNIT_ASSERT_MESSAGE(policy, policy.find("unsafe") == std::string::npos);
        }
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get("/dashboard/none.js").status);
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get("/dashboard").status);
        CPPUNIT_ASSERT_EQUAL(405, _daemon.post("/", "{}").status);
    }

    void testPageRefersOnlyToExistingFiles()
    {
        const std::string page = _daemon.get("/").body;
        std::size_t bytes = page.size();
        int files = 0;
        for (auto at = page.find("\"dashboard/"); at != page.npos;
             at = page.find("\"dashboard/", at + 1))
        {
            const std::string path = "/" + page.substr(at + 1, page.find('"', at + 1) - at - 1);
            const auto answer = _daemon.get(path);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, 200, answer.status);
            CPPUNIT_ASSERT_MESSAGE(path, !answer.body.empty());
            bytes += answer.body.size();
            ++files;
        }
        CPPUNIT_ASSERT(files > 15);
        CPPUNIT_ASSERT(bytes < 150'000);
        CPPUNIT_ASSERT_MESSAGE("something comes from elsewhere", page.find("://") == page.npos);
    }

    /// It can be painted before any other file came.
    void testPageContainsStyleAndFirstScript()
    {
        const std::string page = _daemon.get("/").body;
        CPPUNIT_ASSERT(page.find(_daemon.get("/dashboard/style.css").body) != page.npos);
        CPPUNIT_ASSERT(page.find("stylesheet") == page.npos);
        CPPUNIT_ASSERT(page.find(_daemon.get("/dashboard/start.js").body) != page.npos);
        CPPUNIT_ASSERT(page.find("start.js\"") == page.npos);
    }

    void testAnUnchangedFileIsNotResent()
    {
        const std::string etag = _daemon.get("/").headers.at("etag");
        const auto again = _daemon.request("GET", "/", "", {{"If-None-Match", etag}});
        CPPUNIT_ASSERT_EQUAL(304, again.status);
        CPPUNIT_ASSERT_EQUAL(std::string(""), again.body);
        CPPUNIT_ASSERT(etag != _daemon.get("/dashboard/app.js").headers.at("etag"));
        CPPUNIT_ASSERT_EQUAL(
            200, _daemon.request("GET", "/", "", {{"If-None-Match", "\"old\""}}).status);
    }

private:
    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(DashboardTest);
