#include "tests/support/FilesFolder.h"
#include "tests/support/Program.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <fstream>
#include <string>

/// The bugs that scripts/torture-seeded plants take hours to play; this tells within a second that code moved on
/// below one of them.
class SeededBugsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SeededBugsTest);
    CPPUNIT_TEST(testEachBugCanBePlanted);
    CPPUNIT_TEST_SUITE_END();

    void testEachBugCanBePlanted()
    {
        const std::filesystem::path root = STAGE_AGENT_SOURCE_DIR;
        const agent::FilesFolder folder;
        int found = 0;
        std::string problems;
        for (const auto& entry : std::filesystem::directory_iterator(root / "tests/torture/seeded"))
        {
            ++found;
            const std::string name = entry.path().filename().string();
            const auto ended =
                agent::test::runProgram({"/usr/bin/patch", "--dry-run", "-f", "-s", "-p1", "-d",
                                         root.string(), "-i", entry.path().string()},
                                        folder.path());
            if (ended.exitCode != 0)
                problems += name + ": " + ended.out + ended.err + "\n";
            std::ifstream in(entry.path());
            std::string bug;
            std::string suite;
            std::getline(in, bug);
            std::getline(in, suite);
            if (!bug.starts_with("Bug: ") || !suite.starts_with("Suite: ") ||
                !std::filesystem::exists(root / "tests/torture" / (suite.substr(7) + ".cpp")))
                problems += name + ": begin with the lines 'Bug: WHAT' and 'Suite: ONE THERE IS'\n";
        }
        CPPUNIT_ASSERT_EQUAL(std::string(), problems);
        CPPUNIT_ASSERT(found > 20);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SeededBugsTest);
