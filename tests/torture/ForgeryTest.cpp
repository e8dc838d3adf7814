// Stages that mean harm to their own record, with the daemon there and with the daemon away: they forge outcomes, empty or move
// their folder, kill their shim, hide from it. None of them ends well, none is executed twice, and nothing of them is left.
#include "tests/support/HostileStage.h"
#include "tests/torture/Rounds.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>
#include <cstdlib>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::Rounds;
using agent::test::shell;
using agent::test::waitFor;

namespace fs = std::filesystem;

namespace
{

/// What a stage may do to its attempt's folder $d.
const std::vector<std::string> harms{
    "put $d/outcome.json",
    "put $d/outcome.json.tmp",
    "rm -rf $d/outcome.json.tmp; mkfifo $d/outcome.json.tmp; mkdir $d/outcome.json",
    "mv $d $d.away; mkdir $d; put $d/outcome.json; cp $d.away/shim.lock $d.away/order.json $d/",
    "true > $d/shim.lock; put $d/outcome.json",
    "put $d/shim.lock; put $d/order.json",
    "rm -rf $d/order.json; ln -s /dev/zero $d/order.json; put $d/outcome.json",
    "truncate -s 1T $d/outcome.json $d/held.json",
    "true",
};

const std::vector<std::string> ends{"exit 7", "kill -9 $shim; sleep 600",
                                    "kill -STOP $shim; exit 7", "kill -9 $$"};

} // namespace

class ForgeryTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ForgeryTest);
    CPPUNIT_TEST(testNoForgedOutcomeIsBelieved);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNoForgedOutcomeIsBelieved()
    {
        Daemon daemon;
        daemon.start();
        Rounds rounds(8);
        int round = 0;
        rounds.play(
            [&]
            {
                const std::string mark = std::to_string(90'000 + ++round);
                const std::string harm = one(harms, rounds);
                std::string end = one(ends, rounds);
                // In a sandbox its parent is the first process, which nothing in there kills, and it goes on.
                if (const auto sleep = end.find("sleep"); daemon.sandboxed() && sleep != end.npos)
                    end.replace(sleep, end.npos, "exit 7");
                const bool away = rounds.chance(40);
                const bool hides = rounds.chance(50);
                const auto run = daemon.submit(listOf({shell(
                    "set +e; " + agent::test::hostileWords +
                    "shim=$(ps -o ppid= -p $$); echo x >> executions; " +
                    (hides ? "(setsid env -i /bin/sleep " + mark + " &); " : "") +
                    "touch begun; until test -e go; do sleep 0.02; done; " + harm + "; " + end)}));
                const auto id = daemon.stagesOf(run)[0];
                const auto workspace =
                    daemon.state() / "runs" / run.substr(0, 2) / run / "workspace";
                waitFor("it to begin", [&] { return fs::exists(workspace / "begun"); });
                if (away)
                    daemon.kill();
                std::ofstream(workspace / "go") << "\n";
                rounds.pause(100);
                if (away)
                    daemon.start();
                daemon.waitForRun(run, "FAILURE");
                const std::string what = harm + "; " + end + (away ? ", away" : "");
                const auto cause = daemon.detail(id, "cause");
                const bool lost = !daemon.sandboxed() && (end.starts_with("kill -9 $shim") || away);
                CPPUNIT_ASSERT_MESSAGE(what + ": " + cause,
                                       cause == (end == "kill -9 $$" ? "SIGNAL" : "EXIT") ||
                                           (lost && cause == "SHIM_LOST"));
                CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::string("x\n"),
                                             contentOf(workspace / "executions"));
                CPPUNIT_ASSERT_MESSAGE(what, agent::test::processesOf(id).empty());
                const auto hidden = agent::test::processesWith("/bin/sleep" + mark);
                for (const int pid : hidden)
                    ::kill(pid, SIGKILL);
                // With the daemon away it is nobody's child when its shim is killed.
                CPPUNIT_ASSERT_MESSAGE(what, hidden.empty() || (away && !daemon.sandboxed()));
            });
    }

private:
    static std::string one(const std::vector<std::string>& of, Rounds& rounds)
    {
        return of[static_cast<std::size_t>(rounds.pick(0, static_cast<int>(of.size()) - 1))];
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ForgeryTest);
