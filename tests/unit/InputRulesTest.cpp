#include "agent/run/InputRules.h"
#include "agent/run/RefusedVariables.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

namespace agent
{

class InputRulesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(InputRulesTest);
    CPPUNIT_TEST(testRefusesHostileRepositories);
    CPPUNIT_TEST(testRefusesHostileBranches);
    CPPUNIT_TEST(testVariablesFitIntoAPipelineAsItIsStored);
    CPPUNIT_TEST(testTextsAreBoundedAndWithoutControlCharacters);
    CPPUNIT_TEST(testTextsOfOthersAreMadeToFit);
    CPPUNIT_TEST(testRequestsCannotSetWhatRunsSomethingElse);
    CPPUNIT_TEST(testRefusedVariablesAreDocumented);
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

    void testTextsAreBoundedAndWithoutControlCharacters()
    {
        for (const std::string right :
             {"", "fix: \tthis\nand \xc3\xbc \xf0\x9f\x99\x82", "a\u202e"})
            CPPUNIT_ASSERT_EQUAL(std::string(), textProblem(right, 32));
        CPPUNIT_ASSERT_EQUAL(std::string(), textProblem(std::string(32, 'x'), 32));
        CPPUNIT_ASSERT_EQUAL(std::string("must not be longer than 32 bytes, and has 33"),
                             textProblem(std::string(33, 'x'), 32));
        for (const char* wrong : {"\xff", "\xc3", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(wrong, std::string("must be UTF-8"),
                                         textProblem(wrong, 32));
        const std::string control("must not hold control characters other than newline and tab: ");
        CPPUNIT_ASSERT_EQUAL(control + "\\x1b at byte 2", textProblem("ab\x1b[0m", 32));
        CPPUNIT_ASSERT_EQUAL(control + "\\x00 at byte 1", textProblem(std::string("a\0b", 3), 32));
        CPPUNIT_ASSERT_EQUAL(control + "\\x0d at byte 0", textProblem("\r\n", 32));
        CPPUNIT_ASSERT_EQUAL(control + "\\x7f at byte 0", textProblem("\x7f", 32));
        CPPUNIT_ASSERT_EQUAL(control + "\\x9b at byte 0", textProblem("\xc2\x9b", 32));
    }

    void testTextsOfOthersAreMadeToFit()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("a\n\tb"), fittedText("a\n\tb", 32));
        CPPUNIT_ASSERT_EQUAL(std::string("\\x1b[0m \\xff \\x0d"),
                             fittedText("\x1b[0m \xff \r", 32));
        CPPUNIT_ASSERT_EQUAL(std::string("12345\xe2\x80\xa6"), fittedText("123456789", 8));
        // Never within a character.
        CPPUNIT_ASSERT_EQUAL(std::string("1234\xe2\x80\xa6"),
                             fittedText("1234\xc3\xbc\xc3\xbc\xc3\xbc", 8));
        for (const std::string& text : {std::string(100, '\x1b'), std::string(100, 'x')})
            CPPUNIT_ASSERT_EQUAL(std::string(), textProblem(fittedText(text, 16), 16));
    }

    void testRequestsCannotSetWhatRunsSomethingElse()
    {
        for (const char* wrong : {"BASH_ENV",
                                  "BASH_FUNC_ls",
                                  "ENV",
                                  "SHELLOPTS",
                                  "BASHOPTS",
                                  "PS4",
                                  "IFS",
                                  "PROMPT_COMMAND",
                                  "LD_PRELOAD",
                                  "LD_LIBRARY_PATH",
                                  "DYLD_INSERT_LIBRARIES",
                                  "GLIBC_TUNABLES",
                                  "PYTHONPATH",
                                  "PYTHONSTARTUP",
                                  "NODE_OPTIONS",
                                  "NODE_PATH",
                                  "PERL5LIB",
                                  "PERL5OPT",
                                  "PERL5DB",
                                  "RUBYOPT",
                                  "RUBYLIB",
                                  "JAVA_TOOL_OPTIONS",
                                  "_JAVA_OPTIONS",
                                  "JDK_JAVA_OPTIONS",
                                  "GIT_SSH_COMMAND",
                                  "GIT_CONFIG_COUNT",
                                  "SSH_ASKPASS",
                                  "GCONV_PATH",
                                  "LOCPATH",
                                  "PATH",
                                  "HOME",
                                  "EDITOR",
                                  "PAGER",
                                  "VISUAL",
                                  "MAKEFLAGS",
                                  "npm_config_script_shell",
                                  "NPM_CONFIG_PREFIX",
                                  "PLUGIN_COMMAND",
                                  "CI",
                                  "STAGE_ID",
                                  "OPENSSL_CONF",
                                  "http_proxy",
                                  "HTTPS_PROXY",
                                  "XDG_CONFIG_HOME"})
            CPPUNIT_ASSERT_MESSAGE(wrong,
                                   requestVariableProblem(wrong).find(wrong) != std::string::npos);
        for (const char* right : {"TARGET", "NODE_ENV", "VERSION", "LDAP_HOST", "HOMEPAGE", "PATHS",
                                  "TF_VAR_region", "AWS_REGION", "A", "env", "GOAL", "Path"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(right, std::string(), requestVariableProblem(right));
    }

    /// docs/variables.md holds the table of the code, no more and no less.
    void testRefusedVariablesAreDocumented()
    {
        std::ifstream in(STAGE_AGENT_SOURCE_DIR "/docs/variables.md");
        std::multiset<std::string> documented;
        for (std::string line; std::getline(in, line);)
        {
            if (!line.starts_with("| `"))
                continue;
            const auto why = line.substr(line.rfind(" | ", line.size() - 3) + 3);
            const std::string names = line.substr(0, line.find(" | ", 2));
            const std::regex name("`([^`]+)`");
            for (std::sregex_iterator it(names.begin(), names.end(), name), end; it != end; ++it)
                documented.insert((*it)[1].str() + ": " + why.substr(0, why.rfind(" |")));
        }
        std::multiset<std::string> known;
        for (const auto& [what, names] : refusedVariables())
            for (const auto name : names)
                known.insert(std::string(name) + ": " + std::string(what));
        CPPUNIT_ASSERT(known.size() > 200);
        std::vector<std::string> differing;
        std::set_symmetric_difference(known.begin(), known.end(), documented.begin(),
                                      documented.end(), std::back_inserter(differing));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(differing.empty() ? "" : differing.front(), std::size_t(0),
                                     differing.size());
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
