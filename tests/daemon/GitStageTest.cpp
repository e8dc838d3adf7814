// The git plugin as the agent runs it: what it fetches with, where it checks out, and what becomes of what it tells.
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <iostream>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::shell;
using agent::test::waitFor;

namespace fs = std::filesystem;

class GitStageTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(GitStageTest);
    CPPUNIT_TEST(testMessageAndCommitterOfTheClientAreKept);
    CPPUNIT_TEST(testUnusedMirrorIsRemovedWithALine);
    CPPUNIT_TEST(testCheckoutIsInTheSandboxAndFetchIsNot);
    CPPUNIT_TEST(testCheckoutWithoutASandbox);
    CPPUNIT_TEST(testSubmodulesInTheSandbox);
    CPPUNIT_TEST(testServiceCannotSpeakForTheAgent);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _daemon = std::make_unique<Daemon>();
        _origin = _daemon->folder() / "origin";
        makeRepository(_origin);
        commit(_origin, "file", "one", "the repository's message");
        _daemon->writeService("built",
                              "name: built\nrepository: " + _origin.string() +
                                  "\nstages:\n  - {type: PREPARE, plugin: git, with: {submodules: "
                                  "true}}\n");
    }

    /// Symptom: `stagectl run --message "Retry refunds"` was shown as the commit's "Short links over HTTP". Cause:
    /// the git plugin's outputs replaced what the client had said. Bound: what a client gave stays; the commit is the
    /// resolved one; without, all three are git's.
    void testMessageAndCommitterOfTheClientAreKept()
    {
        _daemon->start();
        const std::string head = git(_origin, "rev-parse HEAD");
        const auto show = [&](const std::string& body)
        {
            const auto made = _daemon->post("/api/runs", body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
            const std::string run = made.json()["id"].GetString();
            _daemon->waitForRun(run, "SUCCESS");
            const auto shown = _daemon->get("/api/runs/" + run).json();
            CPPUNIT_ASSERT_EQUAL(head, std::string(shown["commitHash"].GetString()));
            return std::string(shown["commitMessage"].GetString()) + " | " +
                   shown["committer"].GetString();
        };
        const std::string ofGit = "the repository's message";
        const std::string ada = "Ada <ada@example.org>";
        CPPUNIT_ASSERT_EQUAL(ofGit + " | " + ada, show(R"({"service":"built"})"));
        CPPUNIT_ASSERT_EQUAL("Retry refunds | " + ada,
                             show(R"({"service":"built","commitMessage":"Retry refunds"})"));
        CPPUNIT_ASSERT_EQUAL(ofGit + " | Grace",
                             show(R"({"service":"built","committer":"Grace"})"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("A | B"),
            show(R"({"service":"built","branch":"main","commitMessage":"A","committer":"B"})"));
    }

    void testUnusedMirrorIsRemovedWithALine()
    {
        _daemon->set("mirrors.keep", "1s");
        _daemon->start();
        _daemon->waitForRun(_daemon->submitService("built"), "SUCCESS");
        const std::string line =
            "removed the mirror of " + _origin.string() + ", which no stage has used for";
        waitFor("the mirror to go",
                [&] { return _daemon->output().find(line) != std::string::npos; });
        waitFor("its files to go", [&] { return fs::is_empty(_daemon->state() / "trash"); });
        CPPUNIT_ASSERT(fs::is_empty(_daemon->state() / "mirrors/mirrors"));
        _daemon->waitForRun(_daemon->submitService("built"), "SUCCESS"); // made anew
    }

    /// A checkout runs what a repository and its configuration make it run: here a filter that looks around.
    void testCheckoutIsInTheSandboxAndFetchIsNot()
    {
        probe();
        makeRepository(_daemon->folder() / "other");
        commit(_daemon->folder() / "other", "file", "two", "other");
        _daemon->writeService("other",
                              "name: other\nrepository: " + (_daemon->folder() / "other").string() +
                                  "\nstages:\n  - {type: PREPARE, plugin: git}\n");
        _daemon->set("isolation.default", "sandbox");
        if (!startedWithSandbox())
            return;
        _daemon->waitForRun(_daemon->submitService("other"), "SUCCESS"); // another mirror
        const std::string run = _daemon->submitService("built");
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("record 0\nmirrors 1\nwritable 0\nconfig 0\nhome ") +
                                 (folderOf(run) / "home").string() + "\nmine 1\n",
                             contentOf(folderOf(run) / "workspace/probe"));
        CPPUNIT_ASSERT_EQUAL(std::string("one"), contentOf(folderOf(run) / "workspace/file"));
        const std::string log = _daemon->log(_daemon->stagesOf(run)[0]);
        CPPUNIT_ASSERT_MESSAGE(log, log.find("into a new mirror") != std::string::npos);
        // Only where no stage without a sandbox is possible are objects copied unread.
        CPPUNIT_ASSERT_EQUAL(2, trustedMirrors());
        CPPUNIT_ASSERT_EQUAL(0, _daemon->stop());
        _daemon->set("isolation.none_allowed", "somebody");
        _daemon->start();
        _daemon->waitForRun(_daemon->submitService("built"), "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(1, trustedMirrors());
        CPPUNIT_ASSERT_EQUAL(0, _daemon->stop());
        _daemon->set("isolation.none_allowed", "");
        _daemon->start();
        _daemon->waitForRun(_daemon->submitService("built"), "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(1, trustedMirrors()); // once not trusted is never
    }

    void testCheckoutWithoutASandbox()
    {
        probe();
        _daemon->start();
        const std::string run = _daemon->submitService("built");
        _daemon->waitForRun(run, "SUCCESS");
        const std::string seen = contentOf(folderOf(run) / "workspace/probe");
        CPPUNIT_ASSERT_MESSAGE(seen, seen.starts_with("record 1\n"));
    }

    void testSubmodulesInTheSandbox()
    {
        const fs::path module = _daemon->folder() / "module";
        makeRepository(module);
        commit(module, "inner", "in the submodule", "inner");
        git(_origin,
            "-c protocol.file.allow=always submodule --quiet add " + module.string() + " 'a dir'");
        git(_origin, "commit -q -m link");
        _daemon->set("isolation.default", "sandbox");
        if (!startedWithSandbox())
            return;
        const std::string run = _daemon->submitService("built");
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("in the submodule"),
                             contentOf(folderOf(run) / "workspace/a dir/inner"));
        CPPUNIT_ASSERT_EQUAL(std::string(), git(folderOf(run) / "workspace", "status --porcelain"));
    }

    /// What the agent tells its plugin comes from the agent alone: no variable and no secret stands for it.
    void testServiceCannotSpeakForTheAgent()
    {
        const fs::path canary = _daemon->folder() / "canary";
        const std::string service = "name: said\nrepository: " + _origin.string() +
                                    "\nstages:\n  - {type: PREPARE, plugin: git}\n";
        for (const char* name :
             {"STAGE_AGENT_GIT_CONFIG", "STAGE_AGENT_TRUSTED_MIRRORS", "STAGE_AGENT_SANDBOX"})
        {
            std::string said;
            _daemon->writeService("said", service + "env: {" + name + ": x}\n");
            CPPUNIT_ASSERT(_daemon->runToEnd({"--check"}, said) != 0);
            CPPUNIT_ASSERT_MESSAGE(said,
                                   said.find(std::string("env.") + name) != std::string::npos);
        }
        _daemon->writeSecret("STAGE_AGENT_SANDBOX", R"(["/bin/touch",")" + canary.string() + "\"]");
        _daemon->writeService("said", service + "secrets: [STAGE_AGENT_SANDBOX]\n");
        _daemon->start();
        const auto made = _daemon->post("/api/runs", R"({"service":"said"})");
        if (made.status == 201)
            _daemon->waitForRun(made.json()["id"].GetString(), "FAILURE");
        CPPUNIT_ASSERT(!fs::exists(canary));
    }

private:
    [[nodiscard]] int trustedMirrors() const
    {
        int count = 0;
        for (const auto& entry : fs::directory_iterator(_daemon->state() / "mirrors/mirrors"))
            count += fs::exists(entry.path() / "trusted") ? 1 : 0;
        return count;
    }

    [[nodiscard]] fs::path folderOf(const std::string& run) const
    {
        return _daemon->state() / "runs" / run.substr(0, 2) / run;
    }

    bool startedWithSandbox()
    {
        const bool can =
            std::system(STAGE_AGENT_BIN_DIR // NOLINT: our own words
                        "/stage-shim --probe-sandbox /usr/bin/bwrap >/dev/null 2>&1") == 0;
        if (can)
            _daemon->start();
        else
            std::cout << " (skipped: no sandbox on this host) " << std::flush;
        return can;
    }

    static std::string git(const fs::path& repository, const std::string& arguments)
    {
        const fs::path out = repository.string() + ".out";
        const std::string command = "env -i PATH=\"$PATH\" HOME=/nonexistent "
                                    "GIT_CONFIG_GLOBAL=/dev/null git -c user.name=Ada -c "
                                    "user.email=ada@example.org -c safe.directory='*' -C '" +
                                    repository.string() + "' " + arguments + " >'" + out.string() +
                                    "' 2>&1";
        const int status = std::system(command.c_str()); // NOLINT: our own words
        std::string said = contentOf(out);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(command + "\n" + said, 0, status);
        while (said.ends_with('\n'))
            said.pop_back();
        return said;
    }

    static void makeRepository(const fs::path& path)
    {
        fs::create_directories(path);
        git(path, "init -q -b main");
    }

    static void commit(const fs::path& repository, const std::string& name,
                       const std::string& content, const std::string& message)
    {
        std::ofstream(repository / name) << content;
        git(repository, "add -A");
        git(repository, "commit -q -m \"" + message + "\"");
    }

    /// A filter of the operator that writes what it sees in place of the file `probe`.
    void probe()
    {
        const std::string mirrors = (_daemon->state() / "mirrors").string();
        const fs::path script = _daemon->folder() / "gitconfig";
        std::ofstream(script) << "[filter \"probe\"]\n\tsmudge = \"cat >/dev/null; yes() { "
                                 "\\\"$@\\\" 2>/dev/null && echo 1 || echo 0; };"
                              << " echo record $(yes test -e "
                              << (_daemon->state() / "record.db").string() << ");"
                              << " echo mirrors $(ls -d " << mirrors
                              << "/*/*.git 2>/dev/null | wc -l);"
                              << " echo writable $(yes touch " << mirrors << "/*/*.git/planted);"
                              << " echo config $(yes test -e " << script.string() << ");"
                              << " echo home $HOME; echo mine $(yes test -w .)\"\n";
        std::ofstream(_origin / ".gitattributes") << "probe filter=probe\n";
        commit(_origin, "probe", "nothing", "probe");
        _daemon->set("git.config", script.string());
    }

    std::unique_ptr<Daemon> _daemon;
    fs::path _origin;
};

CPPUNIT_TEST_SUITE_REGISTRATION(GitStageTest);
