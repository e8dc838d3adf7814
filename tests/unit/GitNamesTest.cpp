#include "plugins/git/Fetch.h"
#include "plugins/git/Git.h"
#include "plugins/git/Url.h"
#include "plugins/git/Workspace.h"
#include "tests/support/HostileGitNames.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

using agent::git::Arguments;
using agent::git::refuseRef;
using agent::git::refuseRepository;

class GitNamesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(GitNamesTest);
    CPPUNIT_TEST(testUsualRepositoriesAndRefsAreAccepted);
    CPPUNIT_TEST(testHostileRepositoriesAndRefsAreRefused);
    CPPUNIT_TEST(testNoUserValueIsEverAnOption);
    CPPUNIT_TEST(testPasswordIsNotShown);
    CPPUNIT_TEST(testTextBecomesUtf8);
    CPPUNIT_TEST_SUITE_END();

public:
    void testUsualRepositoriesAndRefsAreAccepted()
    {
        for (const char* repository :
             {"https://git.example.org/acme/payment.git", "http://10.0.0.1:8080/a",
              "ssh://git@git.example.org:2222/acme/payment.git", "git@example.org:acme/payment.git",
              "git://example.org/a", "file:///srv/git/a.git", "/srv/git/a b/-c.git",
              "https://user:p%40ss@example.org/a", "https://[::1]:80/a", "example.org:a"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(repository, std::string(), refuseRepository(repository));
        for (const char* ref :
             {"", "main", "feature/a-b_c", "v1.2.3", "refs/pull/7/head", "größe",
              "zzz\";echo${IFS}\"hello\";#", "a@b", "deadbeef", "HEAD", "a-", "$(id)"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(ref, std::string(), refuseRef(ref));
    }

    void testHostileRepositoriesAndRefsAreRefused()
    {
        for (const std::string& repository : hostileRepositories("/tmp/canary"))
            CPPUNIT_ASSERT_MESSAGE(repository, !refuseRepository(repository).empty());
        for (const std::string& ref : hostileRefs("/tmp/canary"))
            CPPUNIT_ASSERT_MESSAGE(ref, !refuseRef(ref).empty());
        CPPUNIT_ASSERT(hostileRepositories("").size() + hostileRefs("").size() >= 60);
    }

    /// Whatever passes the checks is no option, in none of the command lines.
    void testNoUserValueIsEverAnOption()
    {
        constexpr int cases = 100'000;
        std::mt19937 random(20240607); // NOLINT: the same cases each time
        const std::vector<Arguments> plain = commandLines("/plain", "plain");
        int accepted = 0;
        for (int i = 0; i < cases; ++i)
        {
            const std::string repository = randomRepository(random);
            const std::string ref = randomText(random);
            if (!refuseRepository(repository).empty() || !refuseRef(ref).empty())
                continue;
            ++accepted;
            const std::vector<Arguments> commands = commandLines(repository, ref);
            for (std::size_t j = 0; j < commands.size(); ++j)
                assertNoOption(commands[j], plain[j]);
        }
        CPPUNIT_ASSERT(accepted > cases / 100);
    }

    void testPasswordIsNotShown()
    {
        using agent::git::withoutPassword;
        CPPUNIT_ASSERT_EQUAL(std::string("https://u@h/a"), withoutPassword("https://u:pw@h/a"));
        CPPUNIT_ASSERT_EQUAL(std::string("https://h/a@b"), withoutPassword("https://TOKEN@h/a@b"));
        CPPUNIT_ASSERT_EQUAL(std::string("ssh://git@h/a"), withoutPassword("ssh://git@h/a"));
        CPPUNIT_ASSERT_EQUAL(std::string("git@h:a"), withoutPassword("git@h:a"));
        CPPUNIT_ASSERT_EQUAL(std::string("https://h:8443/a"), withoutPassword("https://h:8443/a"));
    }

    void testTextBecomesUtf8()
    {
        using agent::git::asUtf8;
        CPPUNIT_ASSERT_EQUAL(std::string("größe"), asUtf8("größe\n\n", 100));
        CPPUNIT_ASSERT_EQUAL(std::string("a\xEF\xBF\xBD"), asUtf8("a\xff", 100));
        CPPUNIT_ASSERT_EQUAL(std::string("gr"), asUtf8("größe", 3));
        CPPUNIT_ASSERT_EQUAL(std::string(), asUtf8(" \n", 3));
        for (const char* wrong : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"})
            CPPUNIT_ASSERT_MESSAGE(wrong, asUtf8(wrong, 100).starts_with("\xEF\xBF\xBD"));
    }

private:
    static std::vector<Arguments> commandLines(const std::string& repository,
                                               const std::string& ref)
    {
        namespace command = agent::git::command;
        const std::string commit(40, 'a');
        return {
            command::fetchAll("/m", repository, false),
            command::fetchRef("/m", repository, "refs/" + ref),
            command::fetchCommit("/m", repository, commit),
            withoutSetting(command::fetchAll("/m", repository, false, "blob:none"), repository),
            withoutSetting(command::fetchCommit("/m", repository, commit, "blob:none"), repository),
            command::actualUrl("/m", repository),
            command::readHead("/m", repository),
            command::resolve("/m", "refs/heads/" + ref),
            command::setOrigin("/w", repository)};
    }

    /// With a filter the address is the value of a setting.
    static Arguments withoutSetting(Arguments argv, const std::string& repository)
    {
        const auto setting =
            std::find(argv.begin(), argv.end(), "remote.stage-agent.url=" + repository);
        CPPUNIT_ASSERT(setting != argv.end());
        CPPUNIT_ASSERT_EQUAL(std::string("-c"), *(setting - 1));
        argv.erase(setting);
        return argv;
    }

    /// Up to --end-of-options the command is the same as with plain values; behind it nothing begins with
    /// a `-`.
    static void assertNoOption(const Arguments& argv, const Arguments& plain)
    {
        const auto end = std::find(argv.begin(), argv.end(), "--end-of-options");
        CPPUNIT_ASSERT(end != argv.end());
        CPPUNIT_ASSERT_EQUAL(plain.size(), argv.size());
        CPPUNIT_ASSERT(std::equal(argv.begin(), end + 1, plain.begin()));
        for (auto value = end + 1; value != argv.end(); ++value)
            CPPUNIT_ASSERT_MESSAGE(*value, !value->starts_with('-'));
    }

    static std::string randomText(std::mt19937& random)
    {
        static const std::vector<std::string> pieces{
            "-",  "--",  "upload-pack=", "a",  "main", "/",  ":", "::", "ext", "@", " ",
            "\n", "%2d", "$(x)",         "..", ".",    "//", "=", "+",  "^",   "~", "\xc3\xa4"};
        std::string text;
        for (auto n = random() % 5; n > 0; --n)
            text += pieces[random() % pieces.size()];
        return text;
    }

    static std::string randomRepository(std::mt19937& random)
    {
        static const std::vector<std::string> beginnings{
            "", "/", "https://", "ssh://", "file:///", "git@", "host:", "EXT::", "http://h/"};
        std::string repository = beginnings[random() % beginnings.size()];
        return repository.append(randomText(random));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GitNamesTest);
