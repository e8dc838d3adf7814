// Everything that a process does to outlive its stage. Ended from outside or by the command's own end,
// in cgroups and without: nothing survives, and none takes longer than its grace and two seconds.
#include "tests/support/Daemon.h"
#include "tests/support/Namespace.h"
#include "tests/torture/Rounds.h"
#include "tests/torture/Survivors.h"

#include <cppunit/extensions/HelperMacros.h>

#include <chrono>
#include <thread>
#include <unistd.h>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::living;
using agent::test::Rounds;
using agent::test::waitFor;

namespace
{

using Clock = std::chrono::steady_clock;

constexpr int graceMs = 500;

struct Shape
{
    std::string name;
    std::string command; ///< MARK: part of an argument that no cleared environment hides
};

const std::vector<Shape>& shapes()
{
    static const std::vector<Shape> all{
        {"setsid", "setsid sleep 300.MARK &"},
        {"double fork", "(sh -c 'sleep 300.MARK & exit' &);"},
        {"daemonised", "setsid sh -c 'cd /; sleep 300.MARK </dev/null >/dev/null 2>&1 &' &"},
        {"no environment", "setsid env -i sh -c 'sleep 300.MARK & exit 0' &"},
        {"nohup", "nohup sleep 300.MARK >/dev/null 2>&1 &"},
        {"stopped", "sh -c 'kill -STOP $$; sleep 300.MARK' &"},
        {"deaf to TERM", "(trap '' TERM HUP INT; sleep 300.MARK) &"},
        {"deaf and detached", "setsid sh -c 'trap : TERM; while :; do sleep 0.2; done' 300.MARK &"},
        {"fork bomb", "b() { [ $1 -gt 3 ] || { b $(($1+1)) & b $(($1+1)) & } ; "
                      "while :; do sleep 0.1; done; }; b 0 &"},
        {"closed output", "exec >&- 2>&-; sleep 300.MARK &"},
        {"pipe held", "(sh -c 'sleep 300.MARK & sleep 300.MARK & exit' &);"},
    };
    return all;
}

std::string replaced(std::string text, const std::string& what, const std::string& by)
{
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
        text.replace(at, what.size(), by);
    return text;
}

} // namespace

class EscapeTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(EscapeTest);
    CPPUNIT_TEST(testNothingOutlivesItsStage);
    CPPUNIT_TEST(testNothingOutlivesItsStageWithoutCgroups);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNothingOutlivesItsStage() { play(); }

    void testNothingOutlivesItsStageWithoutCgroups()
    {
        agent::test::withoutCgroups([this] { play(); });
    }

private:
    struct Running
    {
        std::string name;
        std::string run;
        std::filesystem::path ready;
        bool leaves = false; ///< its command ends by itself and leaves the rest behind
        long tookMs = 0;
    };

    void play()
    {
        Daemon daemon;
        daemon.set("executor.slots", std::to_string(shapes().size()));
        daemon.set("stage.grace", std::to_string(graceMs) + "ms");
        daemon.start();
        Rounds rounds(3);
        int round = 0;
        rounds.play(
            [&]
            {
                const std::string mark = std::to_string(::getpid()) + std::to_string(round++);
                std::vector<Running> all;
                std::vector<std::string> marks{"300." + mark};
                for (const Shape& shape : shapes())
                {
                    all.push_back(start(daemon, shape, mark, rounds.chance(30)));
                    marks.push_back("RUN_ID=" + all.back().run);
                }
                for (const Running& running : all)
                    waitFor(running.name, [&] { return !contentOf(running.ready).empty(); });
                rounds.pause(50);
                endAll(daemon, all);
                std::string left;
                for (const auto& process : living(marks))
                    left += process + "\n";
                if (!left.empty())
                    agent::test::endLiving(marks);
                CPPUNIT_ASSERT_EQUAL_MESSAGE("survivors", std::string(), left);
                for (const Running& running : all)
                    check(daemon, running);
            });
    }

    static Running start(const Daemon& daemon, const Shape& shape, const std::string& mark,
                         bool leaves)
    {
        const auto ready = daemon.folder() / ("ready-" + replaced(shape.name, " ", "-") + mark);
        const std::string tell = " echo 1 > " + ready.string();
        const std::string command =
            replaced(shape.command, "MARK", mark) + tell + (leaves ? "" : "; sleep 300." + mark);
        return {.name = shape.name + (leaves ? ", left behind" : ", ended"),
                .run = daemon.submit(R"([{"type":"OTHER","plugin":"shell","with":{"command":")" +
                                     command + R"("}}])"),
                .ready = ready,
                .leaves = leaves};
    }

    /// All at the same time; each answers when its processes are gone.
    static void endAll(const Daemon& daemon, std::vector<Running>& all)
    {
        std::vector<std::jthread> askers;
        for (Running& running : all)
            if (!running.leaves)
                askers.emplace_back(
                    [&]
                    {
                        const auto begin = Clock::now();
                        const int status = daemon.post("/api/runs/" + running.run + "/stop").status;
                        running.tookMs = status == 200 ? millisecondsSince(begin) : -1;
                    });
        askers.clear();
        const auto begin = Clock::now();
        for (Running& running : all)
            if (running.leaves)
            {
                daemon.waitForRun(running.run, "SUCCESS");
                running.tookMs = millisecondsSince(begin);
            }
    }

    static long millisecondsSince(Clock::time_point begin)
    {
        return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
    }

    static void check(const Daemon& daemon, const Running& running)
    {
        const std::string where = running.name + " took " + std::to_string(running.tookMs) + " ms";
        CPPUNIT_ASSERT_MESSAGE(where, running.tookMs >= 0 && running.tookMs <= graceMs + 2000);
        const auto id = daemon.stagesOf(running.run).at(0);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(where, std::string(running.leaves ? "SUCCESS" : "FAILURE"),
                                     daemon.detail(id, "status"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(where, std::string(running.leaves ? "EXIT" : "STOPPED"),
                                     daemon.detail(id, "cause"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(EscapeTest);
