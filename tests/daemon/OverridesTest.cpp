// Operators who decide at the same time, and stages that end while someone decides.
#include "tests/support/Daemon.h"
#include "tests/support/RawClient.h"
#include "tests/support/Tokens.h"

#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <barrier>
#include <cstdlib>
#include <future>
#include <thread>

using agent::test::Answer;
using agent::test::Daemon;
using agent::test::waitFor;

namespace
{

constexpr int operators = 64;

/// A slice of the 1,000 rounds unless STAGE_AGENT_PATCH_ROUNDS says how many.
int rounds()
{
    const char* given = std::getenv("STAGE_AGENT_PATCH_ROUNDS");
    return given ? std::atoi(given) : 40;
}

std::string one(const std::string& command, const std::string& more = "")
{
    return R"([{"type":"BUILD","plugin":"shell","with":{"command":")" + command + "\"}" + more +
           "}]";
}

std::string patchRequest(const std::string& url, const std::string& stage, const std::string& body,
                         const std::string& version)
{
    return "PATCH /api/stages/" + stage +
           " HTTP/1.1\r\nHost: " + url.substr(std::string("http://").size()) + "\r\n" +
           agent::test::authorizationFor(url) + "If-Match: " + version +
           "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
}

} // namespace

class OverridesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(OverridesTest);
    CPPUNIT_TEST(testOfManyOperatorsAtOnceOneWins);
    CPPUNIT_TEST(testSecondDecisionWhileAStageIsEndedIsRefused);
    CPPUNIT_TEST(testStageThatEndsInTheSameMomentKeepsItsEnd);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.start(); }

    /// Each round 64 operators correct the same version of a stage: one is answered 200, all others
    /// 412, and the history has one row a win.
    void testOfManyOperatorsAtOnceOneWins()
    {
        const auto run = _daemon.submit(one("true"));
        _daemon.waitForRun(run, "SUCCESS");
        const auto id = _daemon.stagesOf(run)[0];
        const auto before = historyOf(id);

        std::string version = versionOf(id);
        std::atomic<int> won = 0;
        std::atomic<int> lost = 0;
        std::atomic<int> strange = 0; // another status, of which there should be none
        int unfair = 0;
        std::barrier begin(operators, [&]() noexcept { won = lost = 0; });
        std::barrier end(operators,
                         [&]() noexcept
                         {
                             unfair += won == 1 && lost == operators - 1 ? 0 : 1;
                             version = versionOf(id);
                         });
        std::vector<std::thread> threads;
        for (int i = 0; i < operators; ++i)
            threads.emplace_back(
                [&, i]
                {
                    agent::test::RawClient client(_daemon.url());
                    for (int round = 0; round < rounds(); ++round)
                    {
                        begin.arrive_and_wait();
                        client.send(patchRequest(
                            _daemon.url(), id,
                            R"({"endedAt":"2101-01-01T00:00:00.)" + std::to_string(100 + i) +
                                R"(Z","reason":"operator )" + std::to_string(i) + "\"}",
                            version));
                        const int status = client.receive().status;
                        if (status == 200)
                            ++won;
                        else if (status == 412)
                            ++lost;
                        else
                            strange = status;

                        end.arrive_and_wait();
                    }
                });
        for (auto& thread : threads)
            thread.join();
        CPPUNIT_ASSERT_EQUAL(0, strange.load());
        CPPUNIT_ASSERT_EQUAL(0, unfair);
        CPPUNIT_ASSERT_EQUAL(before + static_cast<std::size_t>(rounds()), historyOf(id));
    }

    void testSecondDecisionWhileAStageIsEndedIsRefused()
    {
        const auto run = _daemon.submit(
            one("trap '' TERM; echo ready; while :; do sleep 0.1; done", R"(,"grace":"2s")"));
        const auto id = _daemon.stagesOf(run)[0];
        waitFor("the stage to ignore TERM", [&] { return _daemon.log(id) == "ready\n"; });
        const auto version = versionOf(id);
        auto first = std::async(std::launch::async,
                                [&] {
                                    return _daemon.patch("/api/stages/" + id,
                                                         R"({"status":"FAILURE","reason":"one"})");
                                });
        waitFor("the first decision to be on record", [&] { return versionOf(id) != version; });
        const Answer second =
            _daemon.patch("/api/stages/" + id, R"({"status":"SUCCESS","reason":"two"})");
        CPPUNIT_ASSERT_EQUAL(409, second.status);
        CPPUNIT_ASSERT(second.body.find("stage_stopping") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(200, first.get().status);
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.detail(id, "status"));
        CPPUNIT_ASSERT_EQUAL(std::string("OPERATOR"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("one"), _daemon.detail(id, "message"));
    }

    void testStageThatEndsInTheSameMomentKeepsItsEnd()
    {
        for (int round = 0; round < 30; ++round)
        {
            const auto go = _daemon.folder() / ("go" + std::to_string(round));
            const auto run = _daemon.submit(
                one("echo up; while ! test -e " + go.string() + "; do :; done; exit 3"));
            const auto id = _daemon.stagesOf(run)[0];
            waitFor("the stage to run", [&] { return _daemon.log(id) == "up\n"; });
            std::filesystem::create_directory(go);
            const Answer answer =
                _daemon.patch("/api/stages/" + id, R"({"status":"SUCCESS","reason":"by hand"})");
            // Too late: its own end stands, and the operator hears so. Else the decision holds (or, of one
            // that had ended already, was accepted by hand).
            const bool late = answer.status == 409;
            if (!late)
                CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
            else
                CPPUNIT_ASSERT(answer.body.find("stage_ended") != std::string::npos);
            _daemon.waitForRun(run, late ? "FAILURE" : "SUCCESS");
            CPPUNIT_ASSERT_EQUAL(std::string(late ? "EXIT" : "OPERATOR"),
                                 _daemon.detail(id, "cause"));
            if (late)
                CPPUNIT_ASSERT_EQUAL(std::string("3"), _daemon.detail(id, "exitCode"));
        }
    }

private:
    std::string versionOf(const std::string& id) const
    {
        return _daemon.get("/api/stages/" + id).headers.at("etag");
    }

    std::size_t historyOf(const std::string& id) const
    {
        return _daemon.get("/api/stages/" + id + "/history").json().Size();
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(OverridesTest);
