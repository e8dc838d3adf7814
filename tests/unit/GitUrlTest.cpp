#include "plugins/git/Url.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <vector>

using agent::git::mirrorName;
using agent::git::submoduleUrl;

class GitUrlTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(GitUrlTest);
    CPPUNIT_TEST(testOneMirrorForAllWaysToWriteAnAddress);
    CPPUNIT_TEST(testOtherRepositoriesHaveOtherMirrors);
    CPPUNIT_TEST(testSubmodulesAreRelativeToTheirRepository);
    CPPUNIT_TEST(testSubmoduleCannotLeaveItsHost);
    CPPUNIT_TEST(testFileUrlIsThePath);
    CPPUNIT_TEST_SUITE_END();

public:
    void testOneMirrorForAllWaysToWriteAnAddress()
    {
        const std::vector<std::vector<std::string>> same{
            {"https://git.example.org/a/b.git", "https://x-access-token:t1@git.example.org/a/b.git",
             "https://TOKEN@git.example.org/a/b.git",
             "https://user:p%40s@GIT.Example.org:443/a/b.git/",
             "HTTPS://git.example.org/a/b.git//"},
            {"http://h/a", "http://h:80/a", "http://u@h/a/"},
            {"ssh://git@h/a", "ssh://git:pw@h:22/a", "ssh://git@H/a/"},
            {"git@h:a/b", "git@H:a/b/"},
            {"/srv/a", "/srv/a/", "file:///srv/a"}};
        for (const auto& ways : same)
            for (const auto& way : ways)
                CPPUNIT_ASSERT_EQUAL_MESSAGE(way, mirrorName(ways.front()), mirrorName(way));
        CPPUNIT_ASSERT_EQUAL(std::string("https://git.example.org/a/b.git"),
                             mirrorName(same.front().back()));
    }

    void testOtherRepositoriesHaveOtherMirrors()
    {
        const std::vector<std::string> others{
            "https://h/a",      "http://h/a", "https://h:8443/a", "https://h/A", "https://h/a.git",
            "ssh://git@h/a",    "ssh://h/a",  "git@h:a",          "bob@h:a",     "git@h:/a",
            "https://h2/a",     "/srv/a",     "/srv/a%20b",       "/srv/a b",    "git://h/a",
            "ssh://git@h:80/a", "https://h/", "file:///srv/a%20b"};
        for (std::size_t i = 0; i < others.size(); ++i)
            for (std::size_t j = 0; j < i; ++j)
                CPPUNIT_ASSERT_MESSAGE(others[i] + " and " + others[j],
                                       mirrorName(others[i]) != mirrorName(others[j]));
    }

    /// As git 2.39 resolves them, but that user and password stay.
    void testSubmodulesAreRelativeToTheirRepository()
    {
        const std::vector<std::vector<std::string>> cases{
            {"https://u:p@h/a/top.git", "../sub.git", "https://u:p@h/a/sub.git"},
            {"https://u:p@h/a/top.git/", "../sub.git/", "https://u:p@h/a/sub.git"},
            {"https://TOKEN@h:8443/top.git", "../sub.git", "https://TOKEN@h:8443/sub.git"},
            {"https://u:p@h/a/b/top", "../../sub", "https://u:p@h/a/sub"},
            {"https://u:p@h/a/top", "./sub", "https://u:p@h/a/top/sub"},
            {"https://u:p@h/a/top", "./.././../sub", "https://u:p@h/sub"},
            {"git@h:a/top.git", "../sub.git", "git@h:a/sub.git"},
            {"git@h:top.git", "../sub.git", "git@h:sub.git"},
            {"git@h:/srv/top.git", "../sub.git", "git@h:/srv/sub.git"},
            {"/srv/git/top", "../sub", "/srv/git/sub"},
            {"file:///srv/git/top", "../sub", "file:///srv/git/sub"},
            // Absolute: as it is, so that nobody gets another's password.
            {"https://u:p@h/a", "https://h/b", "https://h/b"},
            {"https://u:p@h/a", "https://evil.example/b", "https://evil.example/b"},
            {"https://u:p@h/a", "/srv/git/x", "/srv/git/x"}};
        for (const auto& one : cases)
            CPPUNIT_ASSERT_EQUAL_MESSAGE(one[0] + " + " + one[1], one[2],
                                         submoduleUrl(one[0], one[1]));
    }

    void testSubmoduleCannotLeaveItsHost()
    {
        for (const char* parent : {"https://u:p@h/top", "ssh://git@h/top", "git@h:top"})
        {
            for (const char* url : {"../../evil.example/x", "../../../x", ".././../evil"})
                CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(parent) + " + " + url, std::string(),
                                             submoduleUrl(parent, url));
            const std::string inside = submoduleUrl(parent, "../@evil.example/x");
            CPPUNIT_ASSERT_MESSAGE(inside, inside.find("h/@evil") != std::string::npos ||
                                               inside.find("h:@evil") != std::string::npos);
        }
    }

    void testFileUrlIsThePath()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("file:///a b/c%25d"), agent::git::fileUrl("/a b/c%d"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GitUrlTest);
