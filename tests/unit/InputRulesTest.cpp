#include "agent/run/InputRules.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

class InputRulesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(InputRulesTest);
    CPPUNIT_TEST(testRefusesHostileRepositories);
    CPPUNIT_TEST(testRefusesHostileBranches);
    CPPUNIT_TEST(testVariablesFitIntoAPipelineAsItIsStored);
    CPPUNIT_TEST_SUITE_END();

public:
    void testRefusesHostileRepositories()
    {
        for (const char* right :
             {"https://git.example.org/a/b.git", "http://localhost:3000/x", "ssh://git@host:22/x",
              "git://host/x", "file:///srv/x.git", "git@host.example:acme/x.git", "/srv/git/x.git",
              "https://user@host/x", "https://[2001:db8:0:0:0:0:0:1]/x", "user.name@host:~/x"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(right, std::string(), repositoryProblem(right));
        for (const char* wrong : {"",
                                  "-",
                                  "--upload-pack=touch /tmp/x",
                                  "-oProxyCommand=x",
                                  "ext::sh -c x",
                                  "ext::x",
                                  "EXT::x",
                                  "Ext::x",
                                  "fd::17",
                                  "fd::17/foo",
                                  "transport::address",
                                  "HTTPS://host/x",
                                  "hTTps://host/x",
                                  "ftp://host/x",
                                  "ftps://host/x",
                                  "javascript://x",
                                  "://host/x",
                                  "https://",
                                  "https:///x",
                                  "ssh://-oProxyCommand=x/y",
                                  "ssh://-x@host/y",
                                  "ssh://user@-oProxyCommand=x/y",
                                  "ssh://:22/x",
                                  "-x@host:y",
                                  "user@-x:y",
                                  "user@host:-x",
                                  "user@host:",
                                  "@host:x",
                                  "user@:x",
                                  "host:x",
                                  "relative",
                                  "./x",
                                  "../x",
                                  "~/x",
                                  "C:\\x",
                                  "a b",
                                  "https://host/a b",
                                  "https://host/\na",
                                  "https://host/\ta",
                                  "/srv/\x7f",
                                  "\t/srv",
                                  "a/b@c:d",
                                  "user@host/x:y",
                                  "file://host/x",
                                  "https://host/x::y",
                                  "ext:://x",
                                  "rsync://h/x",
                                  "user@host",
                                  "https:/host",
                                  "ssh:host/x"})
            CPPUNIT_ASSERT_MESSAGE(wrong, !repositoryProblem(wrong).empty());
        CPPUNIT_ASSERT(!repositoryProblem("https://host/" + std::string(2048, 'x')).empty());
        CPPUNIT_ASSERT(!repositoryProblem(std::string("/srv\0x", 6)).empty());
    }

    /// What is stored with a run is read again as a document: keys of 256 bytes, values of UTF-8.
    void testVariablesFitIntoAPipelineAsItIsStored()
    {
        CPPUNIT_ASSERT_EQUAL(std::string(), environmentProblem(std::string(256, 'A')));
        CPPUNIT_ASSERT(!environmentProblem(std::string(257, 'A')).empty());
        CPPUNIT_ASSERT_EQUAL(std::string(), environmentValueProblem("\xc3\xbc\n\t\r"));
        for (const char* wrong : {"\xff", "\xc3", "\xed\xa0\x80", "\x1b", "\x7f"})
            CPPUNIT_ASSERT_MESSAGE(wrong, !environmentValueProblem(wrong).empty());
    }

    void testRefusesHostileBranches()
    {
        for (const char* right : {"main", "feature/x-1", "v1.2", "a@b", "release_1", "ünï", "a.b/c",
                                  "123", "x-", "a/-b", "lock"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(right, std::string(), branchProblem(right));
        for (const char* wrong : {"",
                                  "-",
                                  "-b",
                                  "--upload-pack=x",
                                  "@",
                                  "HEAD",
                                  "@{-1}",
                                  "a@{b",
                                  "a..b",
                                  "a b",
                                  "a\tb",
                                  "a\nb",
                                  "a~1",
                                  "a^",
                                  "a:b",
                                  "a?",
                                  "a*",
                                  "a[b",
                                  "a\\b",
                                  "/a",
                                  "a/",
                                  "a//b",
                                  ".a",
                                  "a/.b",
                                  "a.",
                                  "a.lock",
                                  "a.lock/b",
                                  "a\x7f",
                                  "refs/heads/../x",
                                  "."})
            CPPUNIT_ASSERT_MESSAGE(wrong, !branchProblem(wrong).empty());
        CPPUNIT_ASSERT(!branchProblem(std::string(245, 'x')).empty());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(InputRulesTest);

} // namespace agent
