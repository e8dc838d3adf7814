#include "agent/model/FilePatterns.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <string>
#include <vector>

namespace agent
{

class FilePatternsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(FilePatternsTest);
    CPPUNIT_TEST(testMatchAsTheDocumentSays);
    CPPUNIT_TEST(testLeadNowhereAsEarlyAsTheyCan);
    CPPUNIT_TEST(testManyStarsCostNoMoreThanTheirLength);
    CPPUNIT_TEST_SUITE_END();

public:
    void testMatchAsTheDocumentSays()
    {
        const struct
        {
            const char* pattern;
            const char* path;
            bool matches;
        } cases[] = {
            {"dist", "dist", true},
            {"dist", "dist/a/b", true}, // a folder with all in it
            {"dist/", "dist/a", true},
            {"./dist//a", "dist/a", true},
            {"dist", "dist2", false},
            {"dist", "a/dist", false},
            {"dist/*", "dist/a", true},
            {"dist/*", "dist/a/b", true},
            {"dist/*.js", "dist/a.js", true},
            {"dist/*.js", "dist/a/b.js", false},
            {"dist/**/*.js", "dist/a.js", true},
            {"dist/**/*.js", "dist/a/b/c.js", true},
            {"dist/**/*.js", "dist/a/b/c.ts", false},
            {"**/*.xml", "a.xml", true},
            {"**/*.xml", "a/b/c.xml", true},
            {"**", "a/b", true},
            {".", "a/b", true},
            {"a/**/b/**/c", "a/b/c", true},
            {"a/**/b/**/c", "a/x/b/y/z/c", true},
            {"a/**/b/**/c", "a/x/c", false},
            {"a/**/**/c", "a/c", true},
            {"?.txt", "a.txt", true},
            {"?.txt", "ab.txt", false},
            {"*", ".hidden", true},
            {"a*b*c", "axxbxxc", true},
            {"a*b*c", "axxbxx", false},
            {"a[b]", "ab", false}, // no sets of characters
            {"a[b]", "a[b]", true},
            {"a\\*", "a\\x", true}, // and no escapes
        };
        for (const auto& [pattern, path, matches] : cases)
            CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(pattern) + " on " + path, matches,
                                         !wayOf({pattern}, path).matched().empty());
    }

    void testLeadNowhereAsEarlyAsTheyCan()
    {
        CPPUNIT_ASSERT(wayOf({"dist/**", "a/*/b"}, "node_modules").leadsNowhere());
        CPPUNIT_ASSERT(wayOf({"dist/**", "a/*/b"}, "a/x/c").leadsNowhere());
        CPPUNIT_ASSERT(!wayOf({"dist/**", "a/*/b"}, "a/x").leadsNowhere());
        CPPUNIT_ASSERT(!wayOf({"**/*.xml"}, "any/where").leadsNowhere());
    }

    /// A matcher that goes back for each star takes longer than the universe for this.
    void testManyStarsCostNoMoreThanTheirLength()
    {
        std::string pattern;
        std::string path;
        for (int i = 0; i < 120; ++i)
        {
            pattern += "**/*a*a*a*/";
            path += "aaaaaaaaaaaaaaaaaaaaaaaab/";
        }
        CPPUNIT_ASSERT(wayOf({pattern + "x"}, path + "y").matched().empty());
    }

private:
    static FilePatterns::Way wayOf(const std::vector<std::string>& patterns,
                                   const std::string& path)
    {
        const FilePatterns all(patterns);
        FilePatterns::Way way = all.begin();
        for (std::size_t begin = 0; begin < path.size();)
        {
            const std::size_t end = std::min(path.find('/', begin), path.size());
            way = all.next(way, path.substr(begin, end - begin));
            begin = end + 1;
        }
        return way;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FilePatternsTest);

} // namespace agent
