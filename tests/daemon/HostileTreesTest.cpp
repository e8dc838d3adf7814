// Workspaces as stages, and whoever else can write there, could leave them, collected by the whole product: each end is true and comes in
// time, and nothing of what is outside of the workspace gets into the store. docs/artifacts.md, "What is kept".
#include "tests/support/HostileTrees.h"
#include "tests/support/Artifacts.h"
#include "tests/support/CanSandbox.h"
#include "tests/support/Daemon.h"
#include "tests/support/OwnPrograms.h"

#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>

#include <sys/mount.h>

using agent::test::Daemon;
using agent::test::Swap;
using agent::test::Tree;
using agent::test::waitFor;

namespace fs = std::filesystem;

namespace
{

/// What is outside says this, and nothing that a stage makes.
constexpr const char* secret = "the secret of this host";

/// Exchanges what is in a workspace until it ends.
class Swapper
{
public:
    Swapper(const Swap& swap, const fs::path& workspace, const fs::path& outside)
        : _thread(
              [this, &swap, workspace, outside](const std::stop_token& stop)
              {
                  while (!stop.stop_requested())
                      swap.once({.workspace = workspace, .outside = outside, .turn = _turns++});
              })
    {
    }

    [[nodiscard]] int turns() const { return _turns; }

private:
    std::atomic<int> _turns = 0;
    std::jthread _thread;
};

/// Mounted where it says, until its end.
class Mounted
{
public:
    Mounted(const fs::path& from, const fs::path& at, const char* type, unsigned long flags)
        : _at(at.string()), _done(::mount(from.c_str(), _at.c_str(), type, flags, nullptr) == 0)
    {
    }
    ~Mounted()
    {
        if (_done)
            ::umount2(_at.c_str(), MNT_DETACH);
    }
    Mounted(const Mounted&) = delete;
    Mounted& operator=(const Mounted&) = delete;

    [[nodiscard]] bool done() const { return _done; }

private:
    std::string _at;
    bool _done;
};

} // namespace

class HostileTreesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(HostileTreesTest);
    CPPUNIT_TEST(testLeadNowhere);
    CPPUNIT_TEST(testLeadNowhereFromASandbox);
    CPPUNIT_TEST(testNorWhereTheyAreSwappedMeanwhile);
    CPPUNIT_TEST(testNorWhereThoseOfASandboxAre);
    CPPUNIT_TEST(testWhatIsMountedIsNotKept);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon = std::make_unique<Daemon>(); }

    void testLeadNowhere() { playAll(); }

    void testLeadNowhereFromASandbox()
    {
        _sandboxed = agent::test::canSandbox();
        if (_sandboxed)
            playAll();
    }

    void testNorWhereTheyAreSwappedMeanwhile() { swapAll(); }

    /// No process of such a stage lives any more when its files are collected: another one of the host exchanges them.
    void testNorWhereThoseOfASandboxAre()
    {
        _sandboxed = agent::test::canSandbox();
        if (_sandboxed)
            swapAll();
    }

    /// A file system, a folder and a file, of the host's root.
    void testWhatIsMountedIsNotKept()
    {
        start();
        holdCollecting();
        const std::string run = begin("mkdir -p dist/new dist/folder; echo inside >dist/file; "
                                      "echo inside >dist/mine");
        waitForCollector();
        const fs::path dist = workspaceOf(run) / "dist";
        const Mounted created("tmpfs", dist / "new", "tmpfs", 0);
        const Mounted folder(outside(), dist / "folder", nullptr, MS_BIND);
        const Mounted file(outside() / "secret", dist / "file", nullptr, MS_BIND);
        const bool mounted = created.done() && folder.done() && file.done();
        if (created.done())
            std::ofstream(dist / "new" / "x") << secret;
        letCollect();
        waitFor("the end", [&] { return isOver(run); });
        if (!mounted)
        {
            std::cout << " (skipped: only root may mount) " << std::flush;
            return;
        }
        assertTrue("mounts", run, 1);
        assertSays("mounts", run, "dist/file (another file system)");
        assertSays("mounts", run, "dist/folder (another file system)");
        assertSays("mounts", run, "dist/new (another file system)");
        assertNothingFromOutside("mounts");
    }

private:
    void playAll()
    {
        start();
        const auto trees = agent::test::hostileTrees(_sandboxed);
        CPPUNIT_ASSERT(trees.size() >= 40);
        for (const Tree& tree : trees)
        {
            const std::string run = begin(tree.commands);
            waitFor(
                "the end of " + tree.what, [&] { return isOver(run); }, 120);
            assertTrue(tree.what, run, tree.kept);
            if (tree.says)
                assertSays(tree.what, run, *tree.says);
            if (!tree.ofOutside)
                assertNothingFromOutside(tree.what);
            remove(run);
            if (!tree.ofOutside)
                assertOutsideUntouched(tree.what);
        }
        waitUntilNothingIsLeft();
    }

    void swapAll()
    {
        start();
        for (const Swap& swap : agent::test::hostileSwaps())
        {
            constexpr int tries = 20; // on a busy host all may be collected within one exchange
            int exchanges = 0;
            for (int i = 0; i < tries && exchanges == 0; ++i)
                exchanges = collectMeanwhile(swap);
            CPPUNIT_ASSERT_MESSAGE(swap.what, exchanges > 0);
        }
        waitUntilNothingIsLeft();
    }

    /// Returns how often something was exchanged while files were collected.
    [[nodiscard]] int collectMeanwhile(const Swap& swap) const
    {
        holdCollecting();
        const std::string run = begin(swap.commands);
        waitForCollector();
        int exchanges = 0;
        {
            const Swapper swapper(swap, workspaceOf(run), outside());
            waitFor("the first exchange", [&] { return swapper.turns() > 1; });
            exchanges = -swapper.turns();
            letCollect();
            waitFor(
                "the end of " + swap.what, [&] { return isOver(run); }, 60);
            exchanges += swapper.turns();
        }
        assertTrue(swap.what, run, std::nullopt);
        assertNothingFromOutside(swap.what);
        remove(run);
        assertOutsideUntouched(swap.what);
        return exchanges;
    }

    void start()
    {
        fs::create_directories(outside() / "dist");
        fs::create_directories(scripts());
        std::ofstream(outside() / "secret") << secret;
        std::ofstream(outside() / "dist/secret") << secret;
        const std::string binds = outside().string() + ":rw, " + scripts().string();
        std::string yaml = std::string("name: tree\nisolation: ") +
                           (_sandboxed ? "sandbox\nbinds: [" + binds + "]" : "none") +
                           "\nenv: {OUT: " + outside().string() +
                           "}\nstages:\n  - type: BUILD\n    plugin: shell\n    with: {command: "
                           "sh " +
                           (scripts() / "tree.sh").string() +
                           "}\n    artifacts: {paths: [dist], required: true}\n";
        _daemon->set("isolation.binds", binds);
        _daemon->writeService("tree", yaml);
        _daemon->set("artifacts.max_bytes", "64MiB");
        const agent::test::OwnPrograms programs(_daemon->folder());
        const std::string hold = (scripts() / "hold").string();
        programs.replace("stage-collector",
                         "if test -e " + hold + "; then echo >" + hold + ".met; while test -e " +
                             hold + "; do sleep 0.01; done; fi\nexec " +
                             programs.real("stage-collector").string() + " \"$@\"");
        _daemon->setPrograms(programs.folder());
        _daemon->start();
    }

    void holdCollecting() const { std::ofstream(scripts() / "hold") << ""; }
    void letCollect() const { fs::remove(scripts() / "hold"); }
    void waitForCollector() const
    {
        waitFor("the collector", [&] { return fs::exists(scripts() / "hold.met"); });
        fs::remove(scripts() / "hold.met");
    }

    /// Returns the run of a stage that does this.
    [[nodiscard]] std::string begin(const std::string& commands) const
    {
        std::ofstream(scripts() / "tree.sh") << commands << "\n";
        return _daemon->submitService("tree");
    }

    [[nodiscard]] bool isOver(const std::string& run) const
    {
        const std::string status = _daemon->statusOf(run);
        return status == "SUCCESS" || status == "FAILURE";
    }

    /// The stage says what was kept, and that something was not. `files`: how many; none: any number.
    void assertTrue(const std::string& what, const std::string& run,
                    std::optional<std::size_t> files) const
    {
        const std::string stage = _daemon->stagesOf(run)[0];
        const auto list = _daemon->get("/api/stages/" + stage + "/artifacts");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what + list.body.substr(0, 1000), 200, list.status);
        const auto kept = list.json();
        const std::string said =
            what + ": " + _daemon->log(stage).substr(0, 1000) + _daemon->detail(stage, "message");
        constexpr std::size_t longest = 2000;
        CPPUNIT_ASSERT_MESSAGE(said, _daemon->detail(stage, "message").size() < longest);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(said, std::string("0"), _daemon->detail(stage, "exitCode"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(said, std::string(kept.Empty() ? "FAILURE" : "SUCCESS"),
                                     _daemon->detail(stage, "status"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(said, std::string(kept.Empty() ? "ARTIFACTS" : "EXIT"),
                                     _daemon->detail(stage, "cause"));
        if (files)
            CPPUNIT_ASSERT_EQUAL_MESSAGE(said, *files, std::size_t{kept.Size()});
        for (const auto& file : kept.GetArray())
        {
            const std::string path = file["path"].GetString();
            CPPUNIT_ASSERT_MESSAGE(path, path.starts_with("dist/"));
            CPPUNIT_ASSERT_MESSAGE(path, file["mode"].GetString() <= std::string("0777"));
            CPPUNIT_ASSERT_MESSAGE(
                path, fs::is_regular_file(fs::symlink_status(
                          agent::test::objectOf(store(), file["sha256"].GetString()))));
        }
    }

    void assertSays(const std::string& what, const std::string& run, const std::string& part) const
    {
        const std::string stage = _daemon->stagesOf(run)[0];
        const std::string message = _daemon->detail(stage, "message");
        if (part.empty())
        {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::string("null"), message);
            return;
        }
        CPPUNIT_ASSERT_MESSAGE(what + ": " + message, message.find(part) != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(what, _daemon->detail(stage, "cause") == "ARTIFACTS" ||
                                         _daemon->detail(stage, "notes") == "ARTIFACTS");
    }

    /// No content of the store is or holds the secret, also none without a name yet.
    void assertNothingFromOutside(const std::string& what) const
    {
        constexpr std::uintmax_t small = 1 << 20;
        for (const auto& entry : fs::recursive_directory_iterator(store()))
        {
            const auto status = entry.symlink_status();
            if (fs::is_directory(status))
                continue;
            CPPUNIT_ASSERT_MESSAGE(what + entry.path().string(), fs::is_regular_file(status));
            CPPUNIT_ASSERT_MESSAGE(what, entry.file_size() > small ||
                                             agent::test::bytesOf(entry.path()).find(secret) ==
                                                 std::string::npos);
        }
    }

    void assertOutsideUntouched(const std::string& what) const
    {
        std::size_t count = 0;
        for (const auto& entry : fs::recursive_directory_iterator(outside()))
        {
            ++count;
            if (!entry.is_regular_file())
                continue;
            CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::string(secret),
                                         agent::test::bytesOf(entry.path()));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::uintmax_t{1}, entry.hard_link_count());
        }
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::size_t{3}, count);
    }

    void remove(const std::string& run) const
    {
        CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + run).status);
    }

    /// Of all that was removed. What removes it leaves the processors to everyone else.
    void waitUntilNothingIsLeft() const
    {
        waitFor(
            "nothing to be left",
            [&]
            {
                for (const char* folder : {"trash", "artifacts/sets", "artifacts/trash"})
                    if (std::error_code error; !fs::is_empty(_daemon->state() / folder, error))
                        return false;
                return agent::test::filesBelow(store() / "objects") == 0;
            },
            200);
        assertOutsideUntouched("after all");
    }

    [[nodiscard]] fs::path outside() const { return _daemon->folder() / "outside"; }
    [[nodiscard]] fs::path scripts() const { return _daemon->folder() / "scripts"; }
    [[nodiscard]] fs::path store() const { return _daemon->state() / "artifacts"; }
    [[nodiscard]] fs::path workspaceOf(const std::string& run) const
    {
        return _daemon->state() / "runs" / run.substr(0, 2) / run / "workspace";
    }

    std::unique_ptr<Daemon> _daemon;
    bool _sandboxed = false;
};

CPPUNIT_TEST_SUITE_REGISTRATION(HostileTreesTest);
