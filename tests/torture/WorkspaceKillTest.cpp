// kill -9 of agent, shims, checkouts and stages while workspaces that services keep are taken, made right, given back and removed, at
// moments that nobody chose: no two runs are in one, none finds what it must not, and nothing is left after the next start.
#include "tests/torture/Lodging.h"
#include "tests/torture/Rounds.h"

#include "agent/os/ProcessStat.h"

#include <cppunit/extensions/HelperMacros.h>

#include <Poco/Exception.h>

#include <algorithm>
#include <csignal>
#include <iostream>
#include <map>

using agent::ProcessStat;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::Lodging;
using agent::test::Rounds;
using agent::test::waitFor;

class WorkspaceKillTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(WorkspaceKillTest);
    CPPUNIT_TEST(testNoRunFindsWhatItMustNot);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNoRunFindsWhatItMustNot()
    {
        Daemon daemon;
        daemon.set("executor.slots", "2");
        Lodging lodging(daemon);
        daemon.start();
        Rounds rounds(4);
        std::map<std::string, int> killed;
        rounds.play(
            [&]
            {
                for (int i = 0; i < 4; ++i)
                    lodging.submit(rounds.pick(0, 2), rounds.pick(0, 4));
                if (rounds.chance(40))
                    lodging.deleteBut(5); // with the workspaces that they had last
                const std::string victim = pick(rounds);
                std::vector<ProcessStat> victims;
                waitFor(
                    "a victim, or the end",
                    [&]
                    {
                        victims = processesOf(daemon, victim);
                        return !victims.empty() || lodging.settled();
                    },
                    90);
                rounds.pause(50);
                for (const ProcessStat& process : victims)
                    killed[victim] += agent::signalProcess(process, SIGKILL) ? 1 : 0;
                if (rounds.chance(50))
                {
                    rounds.pause(80);
                    daemon.kill();
                    ++killed["agent"];
                    // Other times of keeping: what it removes at its start, and while runs take them.
                    daemon.set("workspace.keep", rounds.chance(50) ? "1s" : "1h");
                    daemon.start();
                }
                if (rounds.chance(30))
                    lodging.deleteBut(3);
                lodging.verify();
                lodging.deleteBut(8);
            });
        lodging.clear();
        for (const auto& [name, count] : killed)
            std::cout << name << " " << count << " times, " << std::flush;
        std::cout << lodging.looks() << " looks, " << lodging.found()
                  << " at files of an earlier run " << std::flush;
    }

private:
    /// Names as the kernel has them, 15 characters.
    static std::string pick(Rounds& rounds)
    {
        constexpr const char* all[] = {"stage-plugin-ho", "git", "sh", "stage-shim"};
        return all[rounds.pick(0, 3)];
    }

    /// Those of this daemon; of shims those that have something to do.
    static std::vector<ProcessStat> processesOf(const Daemon& daemon, const std::string& name)
    {
        const std::string state = daemon.state().string();
        const bool shims = name == "stage-shim";
        std::vector<ProcessStat> found;
        const auto all = agent::allProcesses();
        for (const ProcessStat& process : all)
        {
            const std::string folder = "/proc/" + std::to_string(process.pid);
            const bool wanted = shims ? process.comm == "sh" || process.comm == "stage-plugin-ho"
                                      : process.comm == name;
            if (!wanted || !process.alive() ||
                (contentOf(folder + "/environ").find(state) == std::string::npos &&
                 contentOf(folder + "/cmdline").find(state) == std::string::npos))
                continue;
            if (!shims)
                found.push_back(process);
            else if (const auto shim = shimAbove(process))
                found.push_back(*shim);
        }
        return found;
    }

    static std::optional<ProcessStat> shimAbove(const ProcessStat& process)
    {
        auto above = agent::processStat(process.ppid);
        while (above && above->comm != "stage-shim" && above->ppid > 1)
            above = agent::processStat(above->ppid);
        return above && above->comm == "stage-shim" ? above : std::nullopt;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(WorkspaceKillTest);
