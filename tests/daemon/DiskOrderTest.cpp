// What goes when the disk is low, and in which order.
#include "tests/support/Daemon.h"
#include "tests/support/OwnPrograms.h"
#include "tests/support/SmallDisk.h"

#include <cppunit/extensions/HelperMacros.h>

#include <memory>

using agent::SmallDisk;
using agent::test::Daemon;
using agent::test::waitFor;

namespace fs = std::filesystem;

class DiskOrderTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(DiskOrderTest);
    CPPUNIT_TEST(testCachesGoBeforeWorkspaces);
    CPPUNIT_TEST(testASaveIsGivenUpForRoom);
    CPPUNIT_TEST(testWorkspacesGoWhenNoCacheIsLeft);
    CPPUNIT_TEST(testWorkspacesThatServicesKeepAreAmongThem);
    CPPUNIT_TEST(testArtifactsPastHalfOfTheirTimeGoLast);
    CPPUNIT_TEST_SUITE_END();

public:
    void testCachesGoBeforeWorkspaces()
    {
        if (!start())
            return;
        const std::string run = saved();
        _disk->fill(minFree - 3 * mega);
        goesOn();
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, archives());
        CPPUNIT_ASSERT(fs::exists(workspaceOf(run) / "deps/big"));
        CPPUNIT_ASSERT(has("cache k of payment, "));
        CPPUNIT_ASSERT(has("MiB: below disk.min_free"));
        CPPUNIT_ASSERT(!has("workspace of run"));
    }

    /// Symptom: while a cache was saved, workspaces went before caches, or nothing went for as long as the save took. Cause:
    /// what saves is what removes. Bound: the save ends at once, and is told.
    void testASaveIsGivenUpForRoom()
    {
        if (!start())
            return;
        const std::string run = saved();
        _daemon->kill();
        const agent::test::OwnPrograms programs(_daemon->folder());
        programs.replace("stage-cache", "test $1 = restore && exec " +
                                            programs.real("stage-cache").string() + " \"$@\"\n: >" +
                                            (_daemon->folder() / "saving").string() +
                                            "\nexec sleep 600");
        _daemon->setPrograms(programs.folder());
        _daemon->start();
        const std::string other = _daemon->submitService("other");
        _daemon->waitForRun(other, "SUCCESS");
        waitFor("the save", [&] { return fs::exists(_daemon->folder() / "saving"); });
        _disk->fill(minFree - 3 * mega);
        goesOn();
        waitFor("a line", [&] { return has("is not saved: the disk became low meanwhile"); });
        waitFor("the end of the save",
                [&] { return fs::is_empty(_daemon->state() / "caches/pending"); });
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, archives());
        CPPUNIT_ASSERT(fs::exists(workspaceOf(run) / "deps/big"));
        CPPUNIT_ASSERT(!has("workspace of run"));
    }

    void testWorkspacesGoWhenNoCacheIsLeft()
    {
        if (!start())
            return;
        const std::string run = saved();
        _disk->fill(minFree - 9 * mega);
        goesOn();
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, archives());
        CPPUNIT_ASSERT(!fs::exists(workspaceOf(run)));
        const std::string said = _daemon->output();
        const auto cache = said.find("cache k of payment, ");
        const auto workspace =
            said.find("workspace of run " + run + " removed: below disk.min_free");
        CPPUNIT_ASSERT_MESSAGE(said, cache < workspace && workspace != std::string::npos);
        // Once, with its size.
        CPPUNIT_ASSERT_MESSAGE(said, said.find("MiB free, 5 MiB", workspace) != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string::npos,
                             said.find("workspace of run " + run, workspace + 1));
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _daemon->statusOf(run));
    }

    void testWorkspacesThatServicesKeepAreAmongThem()
    {
        if (!start())
            return;
        const std::string run = _daemon->submitService("reusing");
        _daemon->waitForRun(run, "SUCCESS");
        const std::string waiting = _daemon->submitService("reusing-too");
        _daemon->waitForRun(waiting, "AWAITING_APPROVAL");
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, kept());
        _disk->fill(minFree - 4 * mega);
        goesOn();
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, kept()); // that of the run that waits
        const std::string line = "kept workspace of run " + run + " removed: below disk.min_free";
        waitFor("the line", [&] { return has(line); });
        CPPUNIT_ASSERT(!has("kept workspace of run " + waiting));
    }

    void testArtifactsPastHalfOfTheirTimeGoLast()
    {
        if (!start())
            return;
        const std::string run = _daemon->submitService("keeper");
        _daemon->waitForRun(run, "SUCCESS");
        _disk->fill(minFree - 9 * mega);
        goesOn();
        const std::string said = _daemon->output();
        const auto workspace = said.find("workspace of run " + run + " removed: below");
        const auto artifacts =
            said.find("of run " + run + " removed, 5242880 bytes: below disk.min_free");
        CPPUNIT_ASSERT_MESSAGE(said, artifacts != std::string::npos && workspace < artifacts);
    }

private:
    static constexpr std::uintmax_t mega = std::uintmax_t{1} << 20;
    static constexpr std::uintmax_t minFree = 20 * mega;

    bool start()
    {
        _disk = std::make_unique<SmallDisk>("80M");
        if (!_disk->mounted())
            return false;
        _daemon = std::make_unique<Daemon>();
        _daemon->set("state.dir", (_disk->path() / "state").string());
        _daemon->set("disk.min_free", std::to_string(minFree));
        _daemon->writeService("payment", "name: payment\nstages:\n"
                                         "  - type: BUILD\n    plugin: shell\n    with:\n"
                                         "      command: 'mkdir deps; head -c 5242880 /dev/urandom "
                                         ">deps/big'\n"
                                         "    cache: [{key: k, paths: [deps]}]\n");
        _daemon->writeService("other", "name: other\nstages:\n"
                                       "  - type: BUILD\n    plugin: shell\n    with:\n"
                                       "      command: 'mkdir deps; echo x >deps/x'\n"
                                       "    cache: [{key: k, paths: [deps]}]\n");
        _daemon->writeService("keeper", "name: keeper\nstages:\n"
                                        "  - type: BUILD\n    plugin: shell\n    with:\n"
                                        "      command: 'mkdir dist; head -c 5242880 /dev/urandom "
                                        ">dist/big'\n"
                                        "    artifacts: {paths: [dist/**], keep: 20s}\n");
        for (const std::string name : {"reusing", "reusing-too"})
            _daemon->writeService(
                name, "name: " + name +
                          "\nworkspace: reuse\nstages:\n"
                          "  - {type: BUILD, plugin: shell, with: {command: 'head -c 5242880 "
                          "/dev/urandom >big'}}\n" +
                          (name == "reusing" ? ""
                                             : "  - {type: DEPLOY_PROD, plugin: shell, approval: "
                                               "required, with: {command: 'true'}}\n"));
        _daemon->writeService("quick",
                              "name: quick\nstages:\n"
                              "  - {type: BUILD, plugin: shell, with: {command: 'true'}}\n");
        _daemon->start();
        return true;
    }

    /// A run with a workspace of 5 MiB, and its cache of as many.
    std::string saved()
    {
        const std::string run = _daemon->submitService("payment");
        _daemon->waitForRun(run, "SUCCESS");
        waitFor("the cache", [&] { return archives() == 1; });
        waitFor("the end of the save",
                [&] { return fs::is_empty(_daemon->state() / "caches/pending"); });
        return run;
    }

    /// A run is taken and executed, though perhaps not at once.
    void goesOn()
    {
        std::string run;
        waitFor("a run to be taken",
                [&]
                {
                    const auto made = _daemon->post("/api/runs", R"({"service":"quick"})");
                    if (made.status == 201)
                        run = made.json()["id"].GetString();
                    return made.status == 201;
                });
        _daemon->waitForRun(run, "SUCCESS");
    }

    /// The kept workspaces that are there.
    [[nodiscard]] std::size_t kept() const
    {
        std::size_t count = 0;
        for (const auto& file : fs::recursive_directory_iterator(_daemon->state() / "workspaces"))
            count += file.path().filename() == "big" ? 1 : 0;
        return count;
    }

    [[nodiscard]] bool has(const std::string& line) const
    {
        return _daemon->output().find(line) != std::string::npos;
    }

    [[nodiscard]] fs::path workspaceOf(const std::string& run) const
    {
        return _daemon->state() / "runs" / run.substr(0, 2) / run / "workspace";
    }

    [[nodiscard]] std::size_t archives() const
    {
        std::size_t count = 0;
        for (const auto& entry : fs::recursive_directory_iterator(_daemon->state() / "caches"))
            count += entry.path().extension() == ".cache" ? 1 : 0;
        return count;
    }

    std::unique_ptr<SmallDisk> _disk;
    std::unique_ptr<Daemon> _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(DiskOrderTest);
