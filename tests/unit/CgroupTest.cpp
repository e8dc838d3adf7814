#include "agent/process/Cgroup.h"
#include "tests/support/Launching.h"

#include <memory>

namespace
{

namespace fs = std::filesystem;
using agent::Cgroup;
using agent::Limits;

std::string ownLine()
{
    std::istringstream lines(launching::textOf("/proc/self/cgroup"));
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("0::"))
            return line;
    return {};
}

} // namespace

/// Where no cgroup is writable, only what needs none is tested, and the output says so.
class CgroupTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(CgroupTest);
    CPPUNIT_TEST(testNoneMakesNothingAndMissesEveryLimit);
    CPPUNIT_TEST(testSaysWhyItIsNotAvailable);
    CPPUNIT_TEST(testMovesUsIntoALeafAndBack);
    CPPUNIT_TEST(testOpensTwice);
    CPPUNIT_TEST(testTwoNamesDoNotClash);
    CPPUNIT_TEST(testApartFromADaemonNothingOfItsTreeIsTouched);
    CPPUNIT_TEST(testAUnitOfOursIsTheTreeAlsoAfterARestart);
    CPPUNIT_TEST(testMissesOnlyLimitsWithoutAController);
    CPPUNIT_TEST(testKillsAGroupWithTheGroupsBelow);
    CPPUNIT_TEST(testKillsAProcessThatHasLostItsFirstThread);
    CPPUNIT_TEST(testKeepsTheTreeWhileAStageRuns);
    CPPUNIT_TEST(testOnlyAStagesGroupIsOne);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _before = ownLine();
        _cgroup = Cgroup::open(_name);
        if (!_cgroup.available())
            std::cerr << " (no cgroup: " << _cgroup.why() << ") ";
    }

    void tearDown() override
    {
        _cgroup.removeTree();
        CPPUNIT_ASSERT_EQUAL(_before, ownLine());
    }

private:
    std::string make(const std::string& name) const
    {
        std::string missing;
        return _cgroup.make(name, Limits{}, missing);
    }

    static void enter(const fs::path& group) { std::ofstream(group / "cgroup.procs") << 0; }

    void testNoneMakesNothingAndMissesEveryLimit()
    {
        const Cgroup none;
        std::string missing = "old";
        CPPUNIT_ASSERT_EQUAL(std::string(), none.make("a.1", Limits{}, missing));
        CPPUNIT_ASSERT_EQUAL(std::string(), missing);
        CPPUNIT_ASSERT_EQUAL(
            std::string(),
            none.make("a.1", Limits{.memoryBytes = 1 << 20, .cpuPercent = 50, .pids = 9}, missing));
        CPPUNIT_ASSERT_EQUAL(std::string("memory,cpu,pids"), missing);
    }

    void testSaysWhyItIsNotAvailable()
    {
        if (::getuid() != 0)
            return;
        const int child = launching::forked(
            []
            {
                if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0)
                    ::_exit(2);
                const Cgroup cgroup = Cgroup::open("other");
                const bool said = cgroup.why().ends_with(": Permission denied") ||
                                  cgroup.why().ends_with(": Read-only file system") ||
                                  cgroup.why() == "no cgroup2 is mounted";
                ::_exit(!cgroup.available() && said ? 0 : 1);
            });
        int status = -1;
        CPPUNIT_ASSERT_EQUAL(child, ::waitpid(child, &status, 0));
        CPPUNIT_ASSERT_EQUAL(0, status);
    }

    void testMovesUsIntoALeafAndBack()
    {
        if (!_cgroup.available())
            return;
        CPPUNIT_ASSERT(ownLine().ends_with("/agent"));
        const fs::path group = make("moves.1");
        CPPUNIT_ASSERT(fs::exists(group / "cgroup.procs"));
        _cgroup.removeTree();
        CPPUNIT_ASSERT_EQUAL(_before, ownLine());
        CPPUNIT_ASSERT(!fs::exists(group.parent_path().parent_path()));
    }

    void testOpensTwice()
    {
        if (!_cgroup.available())
            return;
        const std::string line = ownLine();
        const Cgroup again = Cgroup::open(_name);
        CPPUNIT_ASSERT(again.available());
        CPPUNIT_ASSERT_EQUAL(line, ownLine());
        std::string missing;
        CPPUNIT_ASSERT_EQUAL(make("twice.1"), again.make("twice.1", Limits{}, missing));
    }

    void testTwoNamesDoNotClash()
    {
        if (!_cgroup.available())
            return;
        const std::string ours = make("same.1");
        const int child = launching::forked(
            [&]
            {
                const Cgroup other = Cgroup::open(_name + "-other");
                std::string missing;
                const std::string theirs = other.make("same.1", Limits{}, missing);
                other.removeTree();
                ::_exit(!theirs.empty() && theirs != ours && !fs::exists(theirs) ? 0 : 1);
            });
        int status = -1;
        CPPUNIT_ASSERT_EQUAL(child, ::waitpid(child, &status, 0));
        CPPUNIT_ASSERT_EQUAL(0, status);
        CPPUNIT_ASSERT(fs::exists(ours));
    }

    void testApartFromADaemonNothingOfItsTreeIsTouched()
    {
        if (!_cgroup.available())
            return;
        const fs::path unit = fs::path(make("apart.1")) / "stage-agent.service";
        fs::create_directory(unit);
        const int child = launching::forked(
            [&]
            {
                enter(unit);
                const Cgroup daemon = Cgroup::open(_name);
                const std::string leaf = ownLine();
                // Started from where the daemon is, as by `docker exec`.
                const std::string name = _name + "-exec";
                const Cgroup exec = Cgroup::open(name, true);
                const bool own =
                    exec.available() && ownLine().ends_with("/stage-agent." + name + "/agent");
                exec.removeTree();
                const bool back = ownLine() == leaf && fs::exists(unit / "stages") &&
                                  !fs::exists(unit / ("stage-agent." + name));
                daemon.removeTree();
                ::_exit(!own ? 1 : !back ? 2 : fs::exists(unit / "stages") ? 3 : 0);
            });
        int status = -1;
        CPPUNIT_ASSERT_EQUAL(child, ::waitpid(child, &status, 0));
        CPPUNIT_ASSERT_EQUAL(0, WEXITSTATUS(status));
        CPPUNIT_ASSERT_EQUAL(0, ::rmdir(unit.c_str()));
    }

    void testAUnitOfOursIsTheTreeAlsoAfterARestart()
    {
        if (!_cgroup.available())
            return;
        // systemd puts the new main process into the unit's own group again, beside the stages.
        const fs::path unit = fs::path(make("base.1")) / "stage-agent.service";
        fs::create_directory(unit);
        const auto started = [&](const std::function<bool(const Cgroup&)>& check)
        {
            const int child = launching::forked(
                [&]
                {
                    enter(unit);
                    const Cgroup inUnit = Cgroup::open(_name);
                    ::_exit(inUnit.available() && check(inUnit) ? 0 : 1);
                });
            int status = -1;
            return ::waitpid(child, &status, 0) == child && status == 0;
        };
        const fs::path stage = unit / "stages" / "kept.1";
        const bool first = started(
            [&](const Cgroup& inUnit)
            {
                std::string missing;
                return inUnit.make("kept.1", Limits{}, missing) == stage &&
                       ownLine().ends_with("stage-agent.service/agent");
            });
        CPPUNIT_ASSERT(first);
        const int running = launching::forked(
            [&]
            {
                enter(stage);
                ::pause();
            });
        CPPUNIT_ASSERT(launching::within(5, [&] { return !Cgroup::processesIn(stage).empty(); }));
        const bool second =
            started([](const Cgroup&) { return ownLine().ends_with("stage-agent.service/agent"); });
        const bool kept = fs::exists(stage) && ::kill(running, 0) == 0;
        Cgroup::killAll(stage);
        launching::reap(running);
        CPPUNIT_ASSERT(second);
        CPPUNIT_ASSERT(kept);
        // The last one goes with no stage running, and takes its groups with it.
        CPPUNIT_ASSERT(started(
            [&](const Cgroup& inUnit)
            {
                inUnit.removeTree();
                return ownLine().ends_with("/stage-agent.service") && !fs::exists(unit / "agent") &&
                       !fs::exists(unit / "stages");
            }));
        Cgroup::remove(unit);
        CPPUNIT_ASSERT(!fs::exists(unit));
    }

    void testMissesOnlyLimitsWithoutAController()
    {
        if (!_cgroup.available())
            return;
        const Limits limits{.memoryBytes = 64 << 20, .cpuPercent = 150, .pids = 77};
        std::string missing;
        const fs::path group = _cgroup.make("limits.1", limits, missing);
        const auto holds = [&](const char* controller, const char* file, const std::string& text)
        {
            const bool there = fs::exists(group / file);
            CPPUNIT_ASSERT_EQUAL(there, missing.find(controller) == std::string::npos);
            if (there)
                CPPUNIT_ASSERT_EQUAL(text + "\n", launching::textOf(group / file));
        };
        holds("memory", "memory.max", std::to_string(64 << 20));
        holds("cpu", "cpu.max", "150000 100000");
        holds("pids", "pids.max", "77");
        std::string again;
        _cgroup.applyLimits(group.string(), limits, again);
        CPPUNIT_ASSERT_EQUAL(missing, again);
    }

    void testKillsAGroupWithTheGroupsBelow()
    {
        if (!_cgroup.available())
            return;
        const fs::path group = make("kills.1");
        const fs::path below = group / "inner";
        fs::create_directory(below);
        std::vector<int> children;
        for (const fs::path& where : {group, below})
            children.push_back(launching::forked(
                [&]
                {
                    enter(where);
                    ::setsid();
                    ::pause();
                }));
        CPPUNIT_ASSERT(
            launching::within(5, [&] { return Cgroup::processesIn(group).size() == 2; }));
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), Cgroup::killAll(group));
        CPPUNIT_ASSERT(launching::within(5, [&] { return Cgroup::killAll(group) == 0; }));
        for (const int child : children)
            launching::reap(child);
        Cgroup::remove(group);
        CPPUNIT_ASSERT(!fs::exists(group));
    }

    void testKillsAProcessThatHasLostItsFirstThread()
    {
        // Symptom: it lived on, for ever. Cause: cgroup.kill passes over it. Bound: one killAll().
        if (!_cgroup.available())
            return;
        const fs::path group = make("leaderless.1");
        const int child = launching::forked(
            [&]
            {
                enter(group);
                const std::string program = launching::leaderless().string();
                ::execl(program.c_str(), program.c_str(), nullptr);
            });
        CPPUNIT_ASSERT(
            launching::within(10, [&] { return agent::processStat(child).value().leaderless(); }));
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), Cgroup::killAll(group));
        launching::reap(child);
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), Cgroup::killAll(group));
        Cgroup::remove(group);
        CPPUNIT_ASSERT(!fs::exists(group));
    }

    void testKeepsTheTreeWhileAStageRuns()
    {
        if (!_cgroup.available())
            return;
        const fs::path group = make("runs.1");
        const int child = launching::forked(
            [&]
            {
                enter(group);
                ::pause();
            });
        CPPUNIT_ASSERT(launching::within(5, [&] { return !Cgroup::processesIn(group).empty(); }));
        _cgroup.removeTree();
        CPPUNIT_ASSERT(fs::exists(group));
        CPPUNIT_ASSERT(ownLine().ends_with("/agent"));
        Cgroup::killAll(group);
        launching::reap(child);
    }

    void testOnlyAStagesGroupIsOne()
    {
        CPPUNIT_ASSERT(!Cgroup::isStageGroup(""));
        CPPUNIT_ASSERT(!Cgroup::isStageGroup("/"));
        CPPUNIT_ASSERT(!Cgroup::isStageGroup("/sys/fs/cgroup"));
        CPPUNIT_ASSERT(!Cgroup::isStageGroup("/nowhere/stages/a.1"));
        if (!_cgroup.available())
            return;
        const fs::path group = make("is.1");
        CPPUNIT_ASSERT(Cgroup::isStageGroup(group));
        CPPUNIT_ASSERT(!Cgroup::isStageGroup(group.parent_path()));
        CPPUNIT_ASSERT(!Cgroup::isStageGroup(group / ".."));
        CPPUNIT_ASSERT(!Cgroup::isStageGroup(group.string() + "/"));
    }

    const std::string _name = "unit-" + std::to_string(::getpid());
    std::string _before;
    Cgroup _cgroup;
};

CPPUNIT_TEST_SUITE_REGISTRATION(CgroupTest);
