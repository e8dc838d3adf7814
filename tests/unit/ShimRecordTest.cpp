#include "agent/process/ProcessTree.h"
#include "tests/support/ShimRun.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <iostream>
#include <utility>

#include <sys/mount.h>

namespace agent
{

using test::assertCause;
using test::assertNothingLeft;
using test::contentOf;
using test::eventually;
using test::inAllContainments;
using test::ShimRun;

/// What a shim has on disk, and when: claim, outcome, full disks, its own death.
class ShimRecordTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ShimRecordTest);
    CPPUNIT_TEST(testFullDiskEndsTheStageAndIsReported);
    CPPUNIT_TEST(testFullDiskEndsAStageThatSaysNothingMore);
    CPPUNIT_TEST(testDiskThatIsFullWhenTheCommandHasEndedIsNoted);
    CPPUNIT_TEST(testACommandThatFailsOnAFullDiskSaysSo);
    CPPUNIT_TEST(testFullDiskBeforeTheCommandExecutesNothing);
    CPPUNIT_TEST(testNewerOrderIsRefused);
    CPPUNIT_TEST(testKilledShimLeavesClaimAndNoOutcome);
    CPPUNIT_TEST(testClaimedAttemptIsNeverExecutedAgain);
    CPPUNIT_TEST(testClaimIsOnDiskBeforeTheCommand);
    CPPUNIT_TEST(testSleepsWhileNothingHappens);
    CPPUNIT_TEST(testUsageAndTimesAreTold);
    CPPUNIT_TEST(testUsageErrorsOfTheProgram);
    CPPUNIT_TEST_SUITE_END();

public:
    void testFullDiskEndsTheStageAndIsReported();
    void testFullDiskEndsAStageThatSaysNothingMore();
    void testDiskThatIsFullWhenTheCommandHasEndedIsNoted();
    void testACommandThatFailsOnAFullDiskSaysSo();
    void testFullDiskBeforeTheCommandExecutesNothing();
    void testNewerOrderIsRefused();
    void testKilledShimLeavesClaimAndNoOutcome();
    void testClaimedAttemptIsNeverExecutedAgain();
    void testClaimIsOnDiskBeforeTheCommand();
    void testSleepsWhileNothingHappens();
    void testUsageAndTimesAreTold();
    void testUsageErrorsOfTheProgram();
};

CPPUNIT_TEST_SUITE_REGISTRATION(ShimRecordTest);

namespace
{

/// A tmpfs of this size, for as long as it lives; not mounted() for others than root.
class SmallDisk
{
public:
    explicit SmallDisk(const std::string& size)
    {
        std::string name = (std::filesystem::temp_directory_path() / "disk-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw std::runtime_error("mkdtemp");
        _folder = name;
        _mounted = ::mount("tmpfs", name.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
        if (!_mounted)
            std::cerr << " (skipped: may not mount)";
    }

    ~SmallDisk()
    {
        if (_mounted)
            ::umount2(_folder.c_str(), MNT_DETACH);
        std::error_code ignored;
        std::filesystem::remove(_folder, ignored);
    }

    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    [[nodiscard]] bool mounted() const { return _mounted; }
    [[nodiscard]] const std::filesystem::path& folder() const { return _folder; }

private:
    std::filesystem::path _folder;
    bool _mounted = false;
};

} // namespace

void ShimRecordTest::testFullDiskEndsTheStageAndIsReported()
{
    const SmallDisk disk("256k");
    if (!disk.mounted())
        return;
    ShimRun run(false, disk.folder());
    run.shell("while :; do echo fill the disk with this; done");
    const Outcome outcome = run.run();
    assertCause(Cause::DiskFull, outcome);
    CPPUNIT_ASSERT_EQUAL(std::string("its log could not be written: No space left on device"),
                         outcome.message);
    CPPUNIT_ASSERT_EQUAL(run.log().size(), static_cast<std::size_t>(outcome.logBytes));
    assertNothingLeft(run);
}

/// A large piece is written by another thread, whose failure nothing else would tell the shim of.
void ShimRecordTest::testFullDiskEndsAStageThatSaysNothingMore()
{
    const SmallDisk disk("256k");
    if (!disk.mounted())
        return;
    ShimRun run(false, disk.folder());
    // One write, so that it is one read.
    run.shell("dd if=/dev/zero bs=900000 count=1 status=none; sleep 300");
    const Outcome outcome = run.run();
    assertCause(Cause::DiskFull, outcome);
    assertNothingLeft(run);
}

/// The end of a long log is appended last: there is room for the beginning and the ring, not for both and it.
void ShimRecordTest::testDiskThatIsFullWhenTheCommandHasEndedIsNoted()
{
    const SmallDisk disk("400k");
    if (!disk.mounted())
        return;
    ShimRun run(false, disk.folder());
    run.order.logMaxBytes = 300L * 1024;
    run.shell("yes | head -c 1000000");
    const Outcome outcome = run.run();
    assertCause(Cause::Exit, outcome); // what the command did is true all the same
    CPPUNIT_ASSERT_EQUAL(0, outcome.exitCode.value());
    CPPUNIT_ASSERT((outcome.notes == std::vector<Cause>{Cause::DiskFull, Cause::LogLimit}));
    CPPUNIT_ASSERT(run.log().size() < 300UL * 1024);
    CPPUNIT_ASSERT_EQUAL(run.log().size(), static_cast<std::size_t>(outcome.logBytes));
    assertNothingLeft(run);
}

void ShimRecordTest::testACommandThatFailsOnAFullDiskSaysSo()
{
    for (const std::string size : {"4M", "64M,nr_inodes=60"})
    {
        const SmallDisk disk(size);
        if (!disk.mounted())
            return;
        for (const bool itsOwn : {true, false})
        {
            ShimRun run(false, disk.folder());
            run.shell(itsOwn ? "i=0; while head -c 100000 /dev/zero > f$i; do i=$((i+1)); done 2> "
                               "/dev/null; "
                               "exit 3"
                             : "exit 3");
            const Outcome outcome = run.run();
            assertCause(itsOwn ? Cause::DiskFull : Cause::Exit, outcome);
            CPPUNIT_ASSERT_EQUAL(3, outcome.exitCode.value());
            CPPUNIT_ASSERT_EQUAL(std::string("exited with code 3") +
                                     (itsOwn ? ", while the disk of its workspace was full" : ""),
                                 outcome.message);
        }
    }
    const SmallDisk disk("4M");
    ShimRun run(false, disk.folder());
    run.shell("head -c 10000000 /dev/zero > f 2> /dev/null; exit 0");
    assertCause(Cause::Exit, run.run()); // what succeeded did
}

void ShimRecordTest::testFullDiskBeforeTheCommandExecutesNothing()
{
    const SmallDisk disk("64k");
    if (!disk.mounted())
        return;
    ShimRun run(false, disk.folder());
    run.shell("touch /proc/self/cwd/executed");
    run.order.cwd = "/tmp";
    run.writeOrder();
    std::ofstream(run.folder() / files::lock).close();
    {
        std::ofstream filler(disk.folder() / "filler");
        while (filler.write("0123456789abcdef", 16) && filler.flush())
            continue;
    }
    run.startShim();
    // Not before it has seen that there is no room: then it sleeps until its next try, which succeeds.
    CPPUNIT_ASSERT(eventually(
        [&]
        {
            return std::filesystem::exists(run.folder() / "outcome.json.tmp") &&
                   processStat(run.pid()).value_or(ProcessStat{}).state == 'S';
        }));
    std::filesystem::remove(disk.folder() / "filler");
    const Outcome outcome = run.finish();
    assertCause(Cause::DiskFull, outcome);
    CPPUNIT_ASSERT_EQUAL(
        std::string("the outcome's file could not be written: No space left on device"),
        outcome.message);
    CPPUNIT_ASSERT(!std::filesystem::exists(run.folder() / "log"));
}

void ShimRecordTest::testNewerOrderIsRefused()
{
    ShimRun run(false);
    run.shell("touch executed");
    run.order.version = sandboxOrderVersion + 1;
    const Outcome outcome = run.run();
    assertCause(Cause::SpawnError, outcome);
    CPPUNIT_ASSERT(outcome.message.starts_with("order.json is of version 3"));
    CPPUNIT_ASSERT(!std::filesystem::exists(run.folder() / "executed"));
}

void ShimRecordTest::testKilledShimLeavesClaimAndNoOutcome()
{
    ShimRun run(false);
    run.shell("echo up; exec sleep 600");
    run.start();
    CPPUNIT_ASSERT(run.logHolds("up\n"));
    const auto claim = claimFrom(contentOf(run.folder() / files::lock));
    CPPUNIT_ASSERT(claim.has_value());
    CPPUNIT_ASSERT_EQUAL(run.pid(), claim->pid);
    run.signalShim(SIGKILL);
    CPPUNIT_ASSERT_EQUAL(128 + SIGKILL, run.wait());
    CPPUNIT_ASSERT(claimFrom(contentOf(run.folder() / files::lock)).has_value());
    CPPUNIT_ASSERT(!std::filesystem::exists(run.folder() / files::outcome));
    const int lock = ::open((run.folder() / files::lock).c_str(), O_RDWR | O_CLOEXEC);
    CPPUNIT_ASSERT_EQUAL(0, ::flock(lock, LOCK_EX | LOCK_NB)); // the command does not hold it
    ::close(lock);
    CPPUNIT_ASSERT(eventually([&] { return run.processes().empty(); })); // by PDEATHSIG
}

void ShimRecordTest::testClaimedAttemptIsNeverExecutedAgain()
{
    ShimRun run(false);
    run.shell("echo x >> executed");
    CPPUNIT_ASSERT(run.run().succeeded());
    run.startShim();
    CPPUNIT_ASSERT_EQUAL(3, run.wait());
    std::filesystem::remove(run.folder() / files::outcome);
    run.startShim();
    CPPUNIT_ASSERT_EQUAL(3, run.wait());
    CPPUNIT_ASSERT_EQUAL(std::string("x\n"), contentOf(run.folder() / "executed"));
}

void ShimRecordTest::testClaimIsOnDiskBeforeTheCommand()
{
    ShimRun run(false);
    run.shell("cat shim.lock; test -e outcome.json.tmp && test ! -e outcome.json");
    CPPUNIT_ASSERT(run.run().succeeded());
    const auto claim = claimFrom(run.log());
    CPPUNIT_ASSERT(claim.has_value());
    CPPUNIT_ASSERT(contentOf("/proc/sys/kernel/random/boot_id").starts_with(claim->bootId));
    CPPUNIT_ASSERT(claim->bootId.size() == 36 && claim->startTime > 0);
}

void ShimRecordTest::testSleepsWhileNothingHappens()
{
    ShimRun run(false);
    run.shell("echo up; exec sleep 600");
    run.order.timeoutMs = 600'000;
    run.order.silenceMs = 600'000;
    run.start();
    CPPUNIT_ASSERT(run.logHolds("up\n"));
    const auto switches = [&]
    {
        const std::string status = contentOf("/proc/" + std::to_string(run.pid()) + "/status");
        return status.substr(status.find("voluntary_ctxt_switches"));
    };
    // Whatever it still had to do after the line is done when the count stands still once.
    std::string before = switches();
    CPPUNIT_ASSERT(eventually(
        [&]
        {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            const std::string now = switches();
            return std::exchange(before, now) == now;
        }));
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    CPPUNIT_ASSERT_EQUAL(before, switches());
    run.signalShim(SIGTERM);
    run.finish();
}

void ShimRecordTest::testUsageAndTimesAreTold()
{
    inAllContainments(
        [](ShimRun& run)
        {
            run.shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 0.1");
            const TimeMs before = nowMs();
            const Outcome outcome = run.run();
            CPPUNIT_ASSERT_EQUAL(wireVersion, outcome.version);
            CPPUNIT_ASSERT(outcome.startedAt >= before && outcome.endedAt <= nowMs() + 1);
            CPPUNIT_ASSERT_EQUAL(outcome.startedAt + outcome.durationMs, outcome.endedAt);
            CPPUNIT_ASSERT(outcome.durationMs >= 100);
            CPPUNIT_ASSERT(outcome.usage.cpuMs > 10);
            CPPUNIT_ASSERT(outcome.usage.maxRssBytes > 100'000);
            CPPUNIT_ASSERT(outcome.usage.writeBytes.has_value());
        });
}

void ShimRecordTest::testUsageErrorsOfTheProgram()
{
    const int status = std::system(STAGE_AGENT_BIN_DIR "/stage-shim /tmp 3>&- 2>/dev/null");
    CPPUNIT_ASSERT(WIFEXITED(status));
    CPPUNIT_ASSERT_EQUAL(2, WEXITSTATUS(status));
}

} // namespace agent
