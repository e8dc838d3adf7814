#include "agent/shim/StageCgroup.h"
#include "agent/shim/Verdict.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

/// On a folder with the files of a cgroup: few hosts let a test have every controller.
class StageCgroupTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StageCgroupTest);
    CPPUNIT_TEST(testCountsKillsForMemory);
    CPPUNIT_TEST(testAKillForMemoryIsOomUnlessTheCommandDidWell);
    CPPUNIT_TEST(testReportsUsageAsFarAsTheControllersCount);
    CPPUNIT_TEST(testSaysWhetherAnyoneLivesInIt);
    CPPUNIT_TEST(testListsItsProcessesAndThoseBelow);
    CPPUNIT_TEST(testNoFolderIsNoCgroup);
    CPPUNIT_TEST_SUITE_END();

public:
    void testCountsKillsForMemory()
    {
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), group().oomKills());
        write("memory.events", "low 1\nhigh 2\nmax 30\noom 4\noom_kill 0\noom_group_kill 6\n");
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), group().oomKills());
        write("memory.events", "low 0\nhigh 0\nmax 30\noom 4\noom_kill 5\noom_group_kill 0\n");
        CPPUNIT_ASSERT_EQUAL(std::int64_t(5), group().oomKills());
    }

    void testAKillForMemoryIsOomUnlessTheCommandDidWell()
    {
        Order order;
        order.limits.memoryBytes = 1 << 20;
        for (const int status : {9, 137 << 8}) // killed itself, or a shell that tells of its child
        {
            Outcome outcome;
            judge(outcome, order, {.commandStatus = status, .oomKilled = true});
            CPPUNIT_ASSERT(outcome.cause == Cause::Oom);
            CPPUNIT_ASSERT_EQUAL(std::string("the kernel killed a process of the stage for memory; "
                                             "its limit is 1048576 bytes"),
                                 outcome.message);
        }
        Outcome well;
        judge(well, order, {.commandStatus = 0, .oomKilled = true});
        CPPUNIT_ASSERT(well.cause == Cause::Exit && well.exitCode == 0);
        Outcome other;
        judge(other, order, {.commandStatus = 9});
        CPPUNIT_ASSERT(other.cause == Cause::Signal);
    }

    void testReportsUsageAsFarAsTheControllersCount()
    {
        Usage usage{.cpuMs = 1, .maxRssBytes = 2, .readBytes = 3, .writeBytes = 4};
        group().addUsage(usage);
        CPPUNIT_ASSERT(usage.cpuMs == 1 && usage.maxRssBytes == 2 && usage.readBytes == 3);
        write("cpu.stat", "usage_usec 305999\nuser_usec 300000\nsystem_usec 5999\n");
        write("memory.peak", "71303168\n");
        write("io.stat", "8:0 rbytes=100 wbytes=7 rios=1 wios=1 dbytes=0 dios=0\n"
                         "8:16 rbytes=23 wbytes=1 rios=1 wios=1 dbytes=0 dios=0\n");
        group().addUsage(usage);
        CPPUNIT_ASSERT(usage.cpuMs == 305 && usage.maxRssBytes == 71303168);
        CPPUNIT_ASSERT(usage.readBytes == 123 && usage.writeBytes == 8);
        write("memory.peak", "4096\n"); // the controller was taken away and given again
        write("io.stat", "");
        group().addUsage(usage);
        CPPUNIT_ASSERT(usage.maxRssBytes == 71303168 && usage.readBytes == 123);
    }

    void testSaysWhetherAnyoneLivesInIt()
    {
        write("cgroup.events", "populated 1\nfrozen 0\n");
        CPPUNIT_ASSERT(group().populated());
        write("cgroup.events", "populated 0\nfrozen 1\n");
        CPPUNIT_ASSERT(!group().populated());
    }

    void testListsItsProcessesAndThoseBelow()
    {
        write("cgroup.procs", "12\n34\n");
        write("inner/deep/cgroup.procs", "56\n");
        const auto pids = group().pids();
        CPPUNIT_ASSERT(pids == std::vector<pid_t>({12, 34, 56}));
    }

    void testNoFolderIsNoCgroup()
    {
        for (const std::string& folder : {std::string(), (_files.path() / "none").string()})
        {
            const StageCgroup none(folder);
            CPPUNIT_ASSERT(!none.available() && !none.populated() && none.pids().empty());
            CPPUNIT_ASSERT_EQUAL(std::int64_t(0), none.oomKills());
        }
        write("cgroup.procs", std::to_string(::getpid()) + "\n");
        CPPUNIT_ASSERT_MESSAGE("its kill would end us too", !group().available());
    }

private:
    [[nodiscard]] StageCgroup group() const { return StageCgroup(_files.path().string()); }

    void write(const std::string& name, const std::string& text) { (void)_files.write(name, text); }

    FilesFolder _files;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StageCgroupTest);

} // namespace agent
