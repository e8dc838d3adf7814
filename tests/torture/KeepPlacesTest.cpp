// Death, and a full disk, at each named place of collecting, saving, restoring and evicting.
#include "tests/support/OwnPrograms.h"
#include "tests/support/SmallDisk.h"
#include "tests/torture/Helpers.h"
#include "tests/torture/Keeping.h"
#include "tests/torture/Places.h"
#include "tests/torture/Rounds.h"

#include <cppunit/extensions/HelperMacros.h>

#include <Poco/Exception.h>

#include <atomic>
#include <csignal>
#include <iostream>
#include <thread>

using agent::SmallDisk;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::Keeping;
using agent::test::places;
using agent::test::Rounds;

namespace fs = std::filesystem;

namespace
{

struct Place
{
    std::string program; ///< that has it
    std::string name;
    int hit = 1; ///< when it is reached for this time
};

/// Those of the daemon that have to do with what is kept, and all of the two programs.
std::vector<Place> allPlaces(Rounds& rounds)
{
    std::vector<Place> all;
    const agent::test::Places known = places();
    for (const auto& name : known.collector)
        all.push_back(
            {"stage-collector", name, name == "collect.publish" ? rounds.pick(1, 20) : 1});
    for (const auto& name : known.cache)
        all.push_back({"stage-cache", name});
    for (const auto& name : known.daemon)
        if (name.starts_with("cache.") || name.starts_with("artifacts."))
            all.push_back({"stage-agent", name});
    return all;
}

/// The agent's programs, where one of them meets a failpoint.
class Programs
{
public:
    explicit Programs(const fs::path& folder) : _own(folder, STAGE_AGENT_FAILPOINT_DIR)
    {
        meet("", "");
    }

    [[nodiscard]] fs::path folder() const { return _own.folder(); }

    /// The helper `program` has this failpoint from its next start on, and the other one none.
    void meet(const std::string& program, const std::string& failpoint) const
    {
        for (const char* name : {"stage-cache", "stage-collector"})
        {
            std::string variables;
            if (program == name)
                variables.append("STAGE_AGENT_FAILPOINT=" + failpoint)
                    .append(" STAGE_AGENT_CALL_LOG=" + log().string() + " ");
            _own.replace(name, variables + "exec " + _own.real(name).string() + " \"$@\"");
        }
    }

    /// What programs that meet one tell.
    [[nodiscard]] fs::path log() const { return _own.folder() / "log"; }

private:
    agent::test::OwnPrograms _own;
};

/// Fills a disk when a process of the daemon has stopped itself, and lets that go on.
class Filler
{
public:
    Filler(const Daemon& daemon, const SmallDisk& disk)
        : _thread(
              [this, state = daemon.state().string(), &disk](const std::stop_token& stop)
              {
                  while (!stop.stop_requested())
                  {
                      for (const auto& process : agent::allProcesses())
                          if (process.state == 'T' && process.comm.starts_with("stage-") &&
                              isOf(process.pid, state))
                          {
                              disk.fill();
                              _filled = true;
                              agent::signalProcess(process, SIGCONT);
                          }
                      std::this_thread::sleep_for(std::chrono::milliseconds(10));
                  }
              })
    {
    }

    [[nodiscard]] bool filled() const { return _filled; }

private:
    static bool isOf(int pid, const std::string& state)
    {
        const std::string folder = "/proc/" + std::to_string(pid);
        return contentOf(folder + "/cmdline").find(state) != std::string::npos ||
               contentOf(folder + "/environ").find(state) != std::string::npos;
    }

    std::atomic<bool> _filled = false;
    std::jthread _thread;
};

} // namespace

class KeepPlacesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(KeepPlacesTest);
    CPPUNIT_TEST(testDeathAtEachPlace);
    CPPUNIT_TEST(testAFullDiskAtEachPlace);
    CPPUNIT_TEST_SUITE_END();

public:
    void testDeathAtEachPlace()
    {
        Daemon daemon;
        play(daemon, nullptr);
    }

    void testAFullDiskAtEachPlace()
    {
        const SmallDisk disk("48M");
        if (!disk.mounted())
            return;
        Daemon daemon;
        daemon.set("state.dir", (disk.path() / "state").string());
        play(daemon, &disk);
    }

private:
    /// `disk`: full at each place; null: they are places to die at.
    void play(Daemon& daemon, const SmallDisk* disk)
    {
        const Programs programs(daemon.folder());
        daemon.setPrograms(programs.folder());
        daemon.set("caches.max_bytes", "1MiB"); // two archives
        Keeping keeping(daemon);
        std::set<std::string> reached;
        Rounds rounds(1);
        std::set<std::string> names;
        rounds.play(
            [&]
            {
                for (const Place& place : allPlaces(rounds))
                    if (!rounds.slice() || rounds.chance(15))
                    {
                        names.insert(place.name);
                        if (playOne(daemon, keeping, programs, place, disk))
                            reached.insert(place.name);
                        else
                            std::cout << "(not at " << place.name << ") " << std::flush;
                    }
            });
        keeping.clear();
        std::cout << "(at " << reached.size() << " of " << names.size() << " places) "
                  << std::flush;
        // Failpoints are not set inside a sandbox, so a restore there reaches none.
        CPPUNIT_ASSERT(rounds.slice() ||
                       reached.size() * 10 >= names.size() * (daemon.sandboxed() ? 7 : 8));
    }

    /// Returns whether the place was reached.
    static bool playOne(Daemon& daemon, Keeping& keeping, const Programs& programs,
                        const Place& place, const SmallDisk* disk)
    try
    {
        const std::string failpoint =
            place.name + (disk ? ":stop@" : ":kill@") + std::to_string(place.hit);
        const bool ofDaemon = place.program == "stage-agent";
        fs::remove(programs.log());
        if (!ofDaemon)
            programs.meet(place.program, failpoint);
        daemon.setEnvironment("STAGE_AGENT_FAILPOINT", ofDaemon ? failpoint : "");
        daemon.start();
        daemon.setEnvironment("STAGE_AGENT_FAILPOINT", "");
        bool reached = false;
        {
            std::optional<Filler> filler;
            if (disk != nullptr)
                filler.emplace(daemon, *disk);
            static int lock = 0;
            ++lock;
            // What is collected and saved, then restored and collected, then removed.
            for (int part = 0; part < 3; ++part)
            {
                if (part < 2)
                    keeping.submit(lock);
                else
                    keeping.deleteBut(2);
                keeping.waitUntil("the end of what was begun",
                                  [&]
                                  {
                                      try
                                      {
                                          return !daemon.alive() ||
                                                 ((keeping.open() > 0 || keeping.over()) &&
                                                  keeping.settled());
                                      }
                                      catch (const Poco::Exception&)
                                      {
                                          return false; // it dies at this moment
                                      }
                                  });
                if (filler && filler->filled())
                    disk->free();
                reached = reached || !daemon.alive() || (filler && filler->filled());
                keeping.waitUntilSettled(); // by another daemon where it died
            }
        }
        reached = reached || hits(programs.log(), place);
        programs.meet("", "");
        keeping.submit(1'000'000);
        keeping.waitUntilSettled();
        CPPUNIT_ASSERT_EQUAL_MESSAGE("the one after it", std::string("SUCCESS"),
                                     daemon.statusOf(keeping.runs().back()));
        keeping.verify();
        keeping.deleteBut(2);
        keeping.waitUntilSettled();
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
        return reached;
    }
    catch (const std::exception& error)
    {
        CPPUNIT_FAIL("at " + place.name + ":" + std::to_string(place.hit) + ": " + error.what());
        return false;
    }

    static bool hits(const fs::path& log, const Place& place)
    {
        const std::string text = contentOf(log);
        const std::string line = "point " + place.name + "\n";
        int count = 0;
        for (auto at = text.find(line); at != std::string::npos; at = text.find(line, at + 1))
            ++count;
        return count >= place.hit;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(KeepPlacesTest);
