// The state folder's file system fills up with the runs' own files, logs, caches and artifacts, in bytes and in inodes, again and
// again: each end is on record and true, what can be done without goes in its order, the agent starts with nothing free,
// and what is deleted makes room.
#include "tests/support/SmallDisk.h"
#include "tests/support/Stagectl.h"
#include "tests/torture/Keeping.h"
#include "tests/torture/Rounds.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <fstream>
#include <sys/statvfs.h>

using agent::SmallDisk;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::Keeping;
using agent::test::Rounds;
using agent::test::stagectlEnded;
using agent::test::waitFor;

namespace fs = std::filesystem;

namespace
{

/// All of a disk's inodes that are left.
class Inodes
{
public:
    explicit Inodes(const fs::path& disk) : _folder(disk / "inodes") {}

    void takeAll() const
    {
        std::error_code ignored;
        fs::create_directory(_folder, ignored);
        for (int i = 0; std::ofstream(_folder / std::to_string(i)).good(); ++i)
        {
        }
    }

    void free() const { fs::remove_all(_folder); }

private:
    fs::path _folder;
};

/// A stage that takes all that the disk has, and tells the exit code that it is about to have.
struct Greedy
{
    std::string run = {};
    std::string command = {};
    std::string more = {}; ///< members of the stage's JSON
    fs::path tells = {};
};

} // namespace

class FillingDiskTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(FillingDiskTest);
    CPPUNIT_TEST(testEndsAreTrueAndItStartsWithNothingFree);
    CPPUNIT_TEST_SUITE_END();

public:
    void testEndsAreTrueAndItStartsWithNothingFree()
    {
        const SmallDisk disk("40M,nr_inodes=4000");
        if (!disk.mounted())
            return;
        Daemon daemon;
        daemon.set("state.dir", (disk.path() / "state").string());
        daemon.set("disk.min_free", "6M");
        daemon.set("executor.slots", "2");
        Keeping keeping(daemon, true);
        daemon.start();
        Rounds rounds(2);
        rounds.play(
            [&]
            {
                Greedy greedy = anyGreedy(rounds);
                keeping.submit(rounds.pick(0, 3));
                submit(daemon, greedy);
                keeping.submit(rounds.pick(0, 3)); // refused, or made to wait for room
                waitFor(
                    "the greedy run's end", [&] { return hasEnded(daemon, greedy.run); }, 60);
                assertTrue(daemon, greedy);
                // The others may wait for the room that its log or its files take, until it is deleted.
                startWithNothingFree(daemon, disk, keeping, greedy);
                keeping.verify();
                keeping.deleteBut(3);
            });
        keeping.clear();
    }

private:
    static Greedy anyGreedy(Rounds& rounds)
    {
        switch (rounds.pick(0, 3))
        {
        case 0:
            return {.command = "head -c 100000000 /dev/zero >big; c=$?"};
        case 1:
            return {.command = "i=0; while touch f$i; do i=$((i+1)); done; c=9"};
        case 2:
            return {.command = "seq 1 5000000; c=$?"}; // a log of 38 MB
        default:
            return {.command = "mkdir dist; head -c 20000000 /dev/urandom >dist/x; c=$?",
                    .more = R"(,"artifacts":{"paths":["dist"],"required":true})"};
        }
    }

    /// A full disk refuses it until there is room.
    void submit(const Daemon& daemon, Greedy& greedy)
    {
        greedy.tells = daemon.folder() / ("greedy-" + std::to_string(_count++));
        const std::string body =
            R"({"pipeline":)" +
            daemon.pipeline(R"([{"type":"OTHER","plugin":"shell","with":{"command":")" +
                            greedy.command + "; echo $c >" + greedy.tells.string() +
                            "; exit $c\"}" + greedy.more + "}]") +
            "}";
        waitFor("the greedy run to be taken",
                [&]
                {
                    const auto answer = daemon.post("/api/runs", body);
                    if (answer.status == 201)
                        greedy.run = answer.json()["id"].GetString();
                    return answer.status == 201;
                });
    }

    static bool hasEnded(const Daemon& daemon, const std::string& run)
    {
        const std::string status = daemon.statusOf(run);
        return status == "SUCCESS" || status == "FAILURE";
    }

    /// SUCCESS only where the command said so, and its files are kept.
    static void assertTrue(const Daemon& daemon, const Greedy& greedy)
    {
        const std::string stage = daemon.stagesOf(greedy.run)[0];
        const std::string told = contentOf(greedy.tells);
        const std::string cause = daemon.detail(stage, "cause");
        const std::string what = greedy.command + " told " + told + " and is " + cause + ": " +
                                 daemon.detail(stage, "message");
        if (daemon.statusOf(greedy.run) == "SUCCESS")
        {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::string("0\n"), told);
            if (!greedy.more.empty())
                CPPUNIT_ASSERT_EQUAL_MESSAGE(
                    what, 200, daemon.get("/api/stages/" + stage + "/artifacts/dist/x").status);
            return;
        }
        CPPUNIT_ASSERT_MESSAGE(what, told != "0\n" || cause == "ARTIFACTS");
        if (!told.empty() && cause != "SPAWN_ERROR")
            CPPUNIT_ASSERT_EQUAL_MESSAGE(what, told, daemon.detail(stage, "exitCode") + "\n");
    }

    /// Neither a byte nor an inode: it starts, knows what it knew, gives up caches before workspaces, and deletes.
    static void startWithNothingFree(Daemon& daemon, const SmallDisk& disk, Keeping& keeping,
                                     const Greedy& greedy)
    {
        const std::string before = daemon.statusOf(greedy.run);
        daemon.kill();
        const Inodes inodes(disk.path());
        disk.fill(); // before its file could not be made any more
        inodes.takeAll();
        struct statvfs left = {};
        CPPUNIT_ASSERT_EQUAL(0, ::statvfs(disk.path().c_str(), &left));
        CPPUNIT_ASSERT(left.f_bavail == 0 && left.f_ffree == 0);
        const std::size_t said = daemon.output().size();
        daemon.start();
        CPPUNIT_ASSERT_EQUAL(before, daemon.statusOf(greedy.run));
        auto kept = keeping.runs();
        std::erase_if(kept, [&](const std::string& run)
                      { return run.empty() || !hasEnded(daemon, run); });
        waitFor("caches and workspaces to go",
                [&]
                {
                    disk.fill();
                    // A change makes it look at the disk.
                    for (const auto& run : kept)
                        (void)daemon.patch("/api/runs/" + run, R"({"kept":false})");
                    return archives(daemon) == 0 && workspaces(daemon, kept) == 0;
                });
        const std::string lines = daemon.output().substr(said);
        const auto workspace = lines.find("workspace of run ");
        const auto cache = lines.rfind("\ncache deps-");
        CPPUNIT_ASSERT_MESSAGE(lines, cache == std::string::npos ||
                                          workspace == std::string::npos || cache < workspace);
        disk.fill();
        stagectlEnded(daemon, 0, {"delete", greedy.run, "--yes"});
        CPPUNIT_ASSERT_EQUAL(404, daemon.get("/api/runs/" + greedy.run).status);
        disk.free();
        inodes.free();
        waitFor("it to be ready", [&] { return daemon.get("/readyz").status == 200; });
    }

    static std::size_t archives(const Daemon& daemon)
    {
        std::size_t count = 0;
        std::error_code ignored;
        for (const auto& entry :
             fs::recursive_directory_iterator(daemon.state() / "caches", ignored))
            count += entry.path().extension() == ".cache" ? 1 : 0;
        return count;
    }

    static std::size_t workspaces(const Daemon& daemon, const std::vector<std::string>& runs)
    {
        return static_cast<std::size_t>(std::count_if(
            runs.begin(), runs.end(),
            [&](const std::string& run) {
                return fs::exists(daemon.state() / "runs" / run.substr(0, 2) / run / "workspace");
            }));
    }

    int _count = 0;
};

CPPUNIT_TEST_SUITE_REGISTRATION(FillingDiskTest);
