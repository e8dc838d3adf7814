// A stage replaces the files of its own attempt by what nobody may read: a FIFO, an endless device, a folder, a file
// larger than any disk. Symptom: a FIFO in place of order.json stopped the engine for ever, a symlink to /dev/zero took
// the memory of the host. Bound: the stage ends, the daemon answers as before and stays small, and it starts again.
#include "tests/support/HostileStage.h"

#include <cppunit/extensions/HelperMacros.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

using agent::test::listOf;
using agent::test::shell;
using agent::test::waitFor;

namespace
{

/// Everything that daemon, shim and plugin keep there, under final and temporary names.
const std::vector<std::string> files{
    "order.json",    "order.json.new", "shim.lock",        "log",          "log.idx",
    "log.tail",      "mask",           "outcome.json.tmp", "outcome.json", "held.json",
    "held.json.tmp", "log.zst",        "log.zst.new",      "outputs.json"};

} // namespace

class DamagedFilesTest: public agent::test::HostileStage
{
    CPPUNIT_TEST_SUITE(DamagedFilesTest);
    CPPUNIT_TEST(testFifos);
    CPPUNIT_TEST(testSymlinksToAnEndlessDevice);
    CPPUNIT_TEST(testFolders);
    CPPUNIT_TEST(testEndlessFiles);
    CPPUNIT_TEST(testSymlinksToFoldersAbove);
    CPPUNIT_TEST(testEndlessFilesThatASandboxLetsItWrite);
    CPPUNIT_TEST_SUITE_END();

public:
    void testFifos() { replaceEach("mkfifo $f"); }

    void testSymlinksToAnEndlessDevice() { replaceEach("ln -s /dev/zero $f"); }

    void testFolders() { replaceEach("mkdir -p $f/full/of"); }

    void testEndlessFiles() { replaceEach("truncate -s 1T $f"); }

    void testSymlinksToFoldersAbove()
    {
        assertGoesOn(run("mv $d $d.away; ln -s $d.away $d"));
        assertGoesOn(run("mv $d/.. $d/../../away && ln -s away ${d%/*}"));
    }

    void testEndlessFilesThatASandboxLetsItWrite()
    {
        const std::string id = run("truncate -s 1T $STAGE_OUTPUTS $STAGE_MASK");
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon->statusOf(id));
        assertGoesOn(id);
    }

private:
    /// A run whose one stage does `harm` to its attempt's folder `$d`. Returns its id once it has ended.
    std::string run(const std::string& harm)
    {
        if (_mostMbBefore == 0)
            _mostMbBefore = mostMb();
        submit(shell("d=$(dirname $STAGE_OUTPUTS); cd /; " + harm));
        waitFor("the end after: " + harm, [this] { return over(); });
        return _run;
    }

    void replaceEach(const std::string& replace)
    {
        for (const auto& file : files)
        {
            const std::string id = run("f=$d/" + file + "; rm -rf $f; " + replace);
            // A stage can damage its own results; its end is reported by the shim. In a sandbox it finds none of these.
            if (file != "outputs.json")
                CPPUNIT_ASSERT_EQUAL_MESSAGE(
                    file, std::string(_daemon->sandboxed() ? "FAILURE" : "SUCCESS"),
                    _daemon->statusOf(id));
            assertGoesOn(id);
        }
        _daemon->kill();
        _daemon->start();
        assertGoesOn(run("true"));
    }

    void assertGoesOn(const std::string& id)
    {
        CPPUNIT_ASSERT_EQUAL(200, _daemon->get("/healthz").status);
        const std::string stage = "/api/stages/" + _daemon->stagesOf(id).at(0);
        for (const char* below : {"", "/logs", "/logs?tail=3"})
            CPPUNIT_ASSERT_MESSAGE(below, _daemon->get(stage + below).status < 500);
        // The engine's thread answers.
        _daemon->waitForRun(_daemon->submit(listOf({shell("true")})), "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + id).status);
        waitFor("its files to be removed",
                [&] { return std::filesystem::is_empty(_daemon->state() / "trash"); });
        CPPUNIT_ASSERT(mostMb() < _mostMbBefore + 180);
    }

    /// The most memory that the daemon ever had.
    [[nodiscard]] long mostMb() const
    {
        std::istringstream lines(
            agent::test::contentOf("/proc/" + std::to_string(_daemon->pid()) + "/status"));
        for (std::string line; std::getline(lines, line);)
            if (line.starts_with("VmHWM:"))
                return std::atol(line.c_str() + 6) / 1024;
        return 0;
    }

    long _mostMbBefore = 0; ///< any damage
};

CPPUNIT_TEST_SUITE_REGISTRATION(DamagedFilesTest);
