// Searches in large logs: a few at a time, each cut after a while, and gone on with where it stopped.
#include "tests/support/Daemon.h"
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <future>
#include <set>
#include <vector>

using agent::test::Answer;
using agent::test::Daemon;
using agent::test::waitFor;

class SearchesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SearchesTest);
    CPPUNIT_TEST(testPagesOfASearchHaveEveryLineOnce);
    CPPUNIT_TEST(testASearchThatIsCutByTimeGoesOnWhereItStopped);
    CPPUNIT_TEST(testMoreThanFourAtOnceAreRefusedAndHoldNobodyUp);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.start(); }

    void testPagesOfASearchHaveEveryLineOnce()
    {
        // More than an answer holds, so that the size cuts it as well as the limit.
        const auto id = ended("seq -f 'line %.0f has some words more than it needs' 1 9000");
        for (const char* limit : {"10000", "700"})
        {
            const auto target = first(id, "WORDS", limit);
            std::set<std::string> seen;
            const int pages =
                walk(target,
                     [&](const Answer& answer)
                     {
                         const auto lines = answer.json();
                         for (const auto& line : lines.GetArray())
                             CPPUNIT_ASSERT(seen.insert(line["id"].GetString()).second);
                     });
            CPPUNIT_ASSERT(pages > 2);
            CPPUNIT_ASSERT_EQUAL(std::size_t(9000), seen.size());
        }
    }

    void testASearchThatIsCutByTimeGoesOnWhereItStopped()
    {
        const auto id = ended(manyLines + "; echo needle");
        std::string found;
        walk(first(id, "needle"),
             [&](const Answer& answer)
             {
                 const auto lines = answer.json();
                 for (const auto& line : lines.GetArray())
                     found += line["message"].GetString();
             });
        CPPUNIT_ASSERT_EQUAL(std::string("needle"), found);
    }

    void testMoreThanFourAtOnceAreRefusedAndHoldNobodyUp()
    {
        const auto id = ended(manyLines);
        const auto search = [&] { return _daemon.get(first(id, "nothing")); };
        waitFor("a search is refused",
                [&]
                {
                    std::vector<std::future<Answer>> searches(8);
                    for (auto& one : searches)
                        one = std::async(std::launch::async, search);
                    CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/stages/" + id).status);
                    int refused = 0;
                    for (auto& one : searches)
                    {
                        const Answer answer = one.get();
                        if (answer.status == 200)
                            continue;
                        ++refused;
                        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 503, answer.status);
                        CPPUNIT_ASSERT(answer.body.find("too_many_searches") != std::string::npos);
                        CPPUNIT_ASSERT_EQUAL(std::string("1"), answer.headers.at("retry-after"));
                    }
                    CPPUNIT_ASSERT_MESSAGE("none of eight was searched", refused <= 4);
                    return refused > 0;
                });
        CPPUNIT_ASSERT_EQUAL(200, search().status);
    }

private:
    /// 30 million lines: to look at each takes a while, and their log is small.
    const std::string manyLines = R"(head -c 30000000 /dev/zero | tr '\0' '\n')";

    std::string ended(const std::string& command)
    {
        const auto run = _daemon.submit("[" + agent::test::shell(command) + "]");
        _daemon.waitForRun(run, "SUCCESS");
        return _daemon.stagesOf(run)[0];
    }

    static std::string first(const std::string& id, const std::string& text,
                             const std::string& limit = "10000")
    {
        return "/api/logs?stageId=" + id + "&search=" + text + "&limit=" + limit;
    }

    /// Gives `take` each page, as the links lead from one to the next. Returns how many there were.
    template <typename Take> int walk(std::string target, Take take) const
    {
        int pages = 0;
        std::set<std::string> asked;
        while (!target.empty())
        {
            CPPUNIT_ASSERT_MESSAGE("comes back to " + target, asked.insert(target).second);
            const Answer answer = _daemon.get(target);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
            ++pages;
            take(answer);
            const auto link = answer.headers.find("link");
            target.clear();
            if (link == answer.headers.end())
                break;
            const std::size_t end = link->second.find(">; rel=\"next\"");
            CPPUNIT_ASSERT(end != std::string::npos && link->second.front() == '<');
            target = link->second.substr(1, end - 1);
        }
        return pages;
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(SearchesTest);
