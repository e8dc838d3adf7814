// A state folder on a small disk that fills up at a random moment and gets room again: no false SUCCESS,
// and the daemon goes on by itself.
#include "tests/support/Namespace.h"
#include "tests/torture/Trial.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fcntl.h>
#include <iostream>
#include <sys/mount.h>
#include <unistd.h>

using agent::FilesFolder;
using agent::test::anyPlans;
using agent::test::Daemon;
using agent::test::MountNamespace;
using agent::test::Plan;
using agent::test::Rounds;
using agent::test::Trial;

class FullDiskTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(FullDiskTest);
    CPPUNIT_TEST(testNoFalseSuccessAndRecoversByItself);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNoFalseSuccessAndRecoversByItself()
    {
        const MountNamespace mounts;
        const FilesFolder disk;
        if (!mounts.own() ||
            ::mount("tmpfs", disk.path().c_str(), "tmpfs", 0, "mode=700,size=16M") != 0)
        {
            std::cout << " (skipped: no file system can be mounted) " << std::flush;
            return;
        }
        play(disk.path());
        ::umount2(disk.path().c_str(), MNT_DETACH);
    }

private:
    static void play(const std::filesystem::path& disk)
    {
        Daemon daemon;
        daemon.set("executor.slots", "2");
        daemon.set("state.dir", (disk / "state").string());
        daemon.start();
        Trial trial(daemon);
        Rounds rounds(4);
        rounds.play(
            [&]
            {
                trial.submit({talking(rounds)});
                trial.submit(anyPlans(rounds, 2));
                rounds.pause(300);
                fill(disk);
                trial.submit(anyPlans(rounds, 2)); // refused, or taken and made to wait
                rounds.pause(300);
                fill(disk);
                rounds.pause(200);
                std::filesystem::remove(disk / "filler");
                trial.submitOpen();
                trial.submit({Plan{.command = "true"}});
                trial.waitUntilOver();
                const auto runs = trial.runs();
                CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), daemon.statusOf(runs.back()));
                CPPUNIT_ASSERT_EQUAL(200, daemon.get("/readyz").status);
                daemon.kill();
                trial.verify(Trial::Shims::Harmed);
                daemon.start();
                for (const auto& run : runs)
                    daemon.request("DELETE", "/api/runs/" + run);
            });
    }

    /// One whose log is what fills the disk, or is cut by it.
    static Plan talking(Rounds& rounds)
    {
        std::string log;
        const int lines = rounds.pick(100, 2000);
        for (int round = 0; round < 4; ++round)
            for (int line = 1; line <= lines; ++line)
                log += std::to_string(line) + "\n";
        return {.command =
                    "for i in 1 2 3 4; do seq 1 " + std::to_string(lines) + "; sleep 0.1; done",
                .log = log};
    }

    static void fill(const std::filesystem::path& disk)
    {
        const int fd =
            ::open((disk / "filler").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        const std::string block(65536, 'x');
        for (std::size_t size = block.size(); size > 0; size /= 2)
            while (::write(fd, block.data(), size) > 0)
            {
            }
        ::close(fd);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FullDiskTest);
