// What a stage is given of what another service made: docs/artifacts.md, "What another service made".
#include "tests/support/NeedsFixture.h"
#include "tests/support/SmallDisk.h"
#include "tests/support/Stagectl.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>

using agent::test::contentOf;
using agent::test::stagectlEnded;
using agent::test::waitFor;

namespace fs = std::filesystem;

namespace
{

mode_t modeOf(const fs::path& file)
{
    struct stat info = {};
    CPPUNIT_ASSERT_EQUAL_MESSAGE(file.string(), 0, ::lstat(file.c_str(), &info));
    return info.st_mode & 07777U;
}

} // namespace

class NeedsTest: public agent::test::NeedsFixture
{
    CPPUNIT_TEST_SUITE(NeedsTest);
    CPPUNIT_TEST(testTheNewestIsThereBeforeTheCommand);
    CPPUNIT_TEST(testSoItIsInASandbox);
    CPPUNIT_TEST(testItIsToldEverywhere);
    CPPUNIT_TEST(testWithoutOneTheStageFails);
    CPPUNIT_TEST(testARetryLooksAgain);
    CPPUNIT_TEST(testWhatStoodThereIsReplaced);
    CPPUNIT_TEST(testNothingIsWrittenThroughASymlink);
    CPPUNIT_TEST(testDamagedFilesAreNotGiven);
    CPPUNIT_TEST(testItIsHeldUntilTheAttemptEnds);
    CPPUNIT_TEST(testADaemonThatIsKilledHoldsIt);
    CPPUNIT_TEST(testKilledWhileCopyingLeavesNoHalf);
    CPPUNIT_TEST(testAFullDiskLeavesNoHalf);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTheNewestIsThereBeforeTheCommand()
    {
        lib();
        app("cat vendor/lib/dist/a; ls vendor/lib vendor/lib/dist/deep");
        _daemon->start();
        ran("lib", R"("env":{"N":"1"})");
        const std::string second = ran("lib", R"("env":{"N":"2"})");
        const std::string run = ran("app");
        const std::string log = _daemon->log(_daemon->stagesOf(run)[0]);
        CPPUNIT_ASSERT_MESSAGE(log, log.starts_with("needs: dist of lib (main) of run " + second +
                                                    ": 3 files, 1.0 MB in "));
        CPPUNIT_ASSERT_MESSAGE(log, log.ends_with(" ms, to vendor/lib\nmade by 2\nvendor/lib:\n"
                                                  "dist\n\nvendor/lib/dist/deep:\nb\n"));
        const fs::path given = workspaceOf(run) / "vendor/lib/dist";
        CPPUNIT_ASSERT_EQUAL(mode_t{0644}, modeOf(given / "a"));
        CPPUNIT_ASSERT_EQUAL(mode_t{0751}, modeOf(given / "deep/b"));
        CPPUNIT_ASSERT_EQUAL(std::uintmax_t{1'000'000}, fs::file_size(given / "sparse"));
        CPPUNIT_ASSERT(!fs::exists(workspaceOf(run) / ".stage-agent-restore"));
        // Its own file, and nobody else's.
        CPPUNIT_ASSERT_EQUAL(std::uintmax_t{1}, fs::hard_link_count(given / "a"));
    }

    void testSoItIsInASandbox()
    {
        if (!agent::test::canSandbox())
            return;
        _daemon->sandbox();
        lib();
        app("cat vendor/lib/dist/a; echo mine >vendor/lib/dist/a; env | grep -c "
            "^STAGE_AGENT_NEEDS || true; find " +
            _daemon->state().string() + " -name objects -o -name record.db || true");
        _daemon->start();
        ran("lib");
        const std::string log = _daemon->log(_daemon->stagesOf(ran("app"))[0]);
        CPPUNIT_ASSERT_MESSAGE(log, has(log, "made by\n0\n"));
        CPPUNIT_ASSERT_MESSAGE(log, !has(log, "record.db") && !has(log, "objects"));
        for (const auto& [digest, bytes] : agent::test::contentsIn(_daemon->state() / "artifacts"))
            CPPUNIT_ASSERT(bytes != "mine\n");
    }

    void testItIsToldEverywhere()
    {
        lib();
        app("true");
        _daemon->start();
        const std::string from = ran("lib");
        const std::string run = ran("app");
        const std::string stage = _daemon->stagesOf(run)[0];
        for (const std::string& path :
             {"/api/stages/" + stage, "/api/stages/" + stage + "?attempt=1"})
        {
            const auto detail = _daemon->get(path).json();
            CPPUNIT_ASSERT_EQUAL(1U, detail["needs"].Size());
            const auto& set = detail["needs"][0];
            CPPUNIT_ASSERT_EQUAL(std::string("lib"), std::string(set["service"].GetString()));
            CPPUNIT_ASSERT_EQUAL(std::string("main"), std::string(set["branch"].GetString()));
            CPPUNIT_ASSERT_EQUAL(std::string("dist"), std::string(set["artifacts"].GetString()));
            CPPUNIT_ASSERT_EQUAL(std::string("vendor/lib"), std::string(set["to"].GetString()));
            CPPUNIT_ASSERT_EQUAL(from, std::string(set["runId"].GetString()));
            CPPUNIT_ASSERT_EQUAL(3, set["files"].GetInt());
            CPPUNIT_ASSERT_EQUAL(64U, set["sha256"].GetStringLength());
        }
        const auto list = _daemon->get("/api/stages?view=detail&runId=" + run).json();
        CPPUNIT_ASSERT_EQUAL(1U, list[0]["needs"].Size());
        const std::string words = stagectlEnded(*_daemon, 0, {"describe", stage}).out;
        CPPUNIT_ASSERT_MESSAGE(words, has(words, "dist of lib (main) in vendor/lib: 3 files, ") &&
                                          has(words, "run " + from));
    }

    void testWithoutOneTheStageFails()
    {
        lib();
        app("touch ran");
        _daemon->writeService("other", service("other", "true",
                                               "{service: gone, artifacts: dist, "
                                               "to: x}"));
        _daemon->writeService("easy", service("easy", "test ! -e x && echo without",
                                              "{service: lib, artifacts: dist, to: x, "
                                              "optional: true}"));
        _daemon->start();
        const std::string run = ran("app", "", "FAILURE");
        const std::string stage = _daemon->stagesOf(run)[0];
        CPPUNIT_ASSERT_EQUAL(std::string("NEEDS"), _daemon->detail(stage, "cause"));
        CPPUNIT_ASSERT_EQUAL(
            std::string(
                "it needs dist of lib (main), and there is none: a run of lib on the branch "
                "main has to end in SUCCESS and keep artifacts called 'dist'"),
            _daemon->detail(stage, "message"));
        CPPUNIT_ASSERT(!fs::exists(workspaceOf(run) / "ran"));
        const std::string gone = ran("other", "", "FAILURE");
        const std::string why = _daemon->detail(_daemon->stagesOf(gone)[0], "message");
        CPPUNIT_ASSERT_MESSAGE(why, has(why, "there is no service 'gone' on this host"));
        const std::string log = _daemon->log(_daemon->stagesOf(ran("easy"))[0]);
        CPPUNIT_ASSERT_EQUAL(
            std::string("needs: dist of lib: there is none, and the stage runs without\nwithout\n"),
            log);
    }

    void testARetryLooksAgain()
    {
        lib();
        app("cat vendor/lib/dist/a; test $STAGE_ATTEMPT = 3");
        _daemon->start();
        const std::string run = ran("app", "", "FAILURE");
        const std::string stage = _daemon->stagesOf(run)[0];
        const auto again = [&](const std::string& wanted)
        {
            CPPUNIT_ASSERT_EQUAL(
                200, _daemon->patch("/api/stages/" + stage, R"({"status":"IDLE"})").status);
            _daemon->waitForRun(run, wanted);
        };
        ran("lib", R"("env":{"N":"1"})");
        again("FAILURE");
        CPPUNIT_ASSERT(has(_daemon->log(stage), "made by 1\n"));
        // What the attempt before was given is replaced.
        ran("lib", R"("env":{"N":"2"})");
        again("SUCCESS");
        CPPUNIT_ASSERT(has(_daemon->log(stage), "made by 2\n"));
        CPPUNIT_ASSERT_EQUAL(
            0U, _daemon->get("/api/stages/" + stage + "?attempt=1").json()["needs"].Size());
        CPPUNIT_ASSERT_EQUAL(
            1U, _daemon->get("/api/stages/" + stage + "?attempt=2").json()["needs"].Size());
    }

    void testWhatStoodThereIsReplaced()
    {
        lib();
        const fs::path outside = _daemon->folder() / "outside";
        fs::create_directories(outside);
        std::ofstream(outside / "kept") << "kept";
        std::string before = "mkdir vendor; case $HOW in ";
        before += "link) ln -s " + outside.string() + " vendor/lib;; fifo) mkfifo vendor/lib;; ";
        before += "file) echo x >vendor/lib;; folder) mkdir -p vendor/lib/old/x; chmod 0 "
                  "vendor/lib/old;; esac; mkdir .stage-agent-restore; ln -s " +
                  outside.string() + " .stage-agent-restore/needed";
        app("test ! -L vendor/lib && cat vendor/lib/dist/a && ls vendor/lib", before);
        _daemon->start();
        ran("lib", R"("env":{"N":"1"})");
        for (const std::string how : {"link", "fifo", "file", "folder"})
        {
            const std::string run = ran("app", R"("env":{"HOW":")" + how + "\"}");
            const std::string log = _daemon->log(_daemon->stagesOf(run)[1]);
            CPPUNIT_ASSERT_MESSAGE(how + log, log.ends_with("made by 1\ndist\n"));
            CPPUNIT_ASSERT(!fs::exists(workspaceOf(run) / ".stage-agent-restore"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(how, std::string("kept"), contentOf(outside / "kept"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(how, std::size_t{1}, agent::test::filesBelow(outside));
        }
    }

    void testNothingIsWrittenThroughASymlink()
    {
        lib();
        const fs::path outside = _daemon->folder() / "outside";
        fs::create_directories(outside);
        std::string before =
            "case $HOW in link) ln -s " + outside.string() +
            " vendor;; fifo) mkfifo vendor;; inner) mkdir vendor; ln -s ../vendor2 "
            "vendor/lib; mkdir vendor2;; esac; ";
        app("touch ran", before, "vendor/lib/inner");
        _daemon->start();
        ran("lib");
        for (const std::string how : {"link", "fifo", "inner"})
        {
            const std::string run = ran("app", R"("env":{"HOW":")" + how + "\"}", "FAILURE");
            const std::string stage = _daemon->stagesOf(run)[1];
            CPPUNIT_ASSERT_EQUAL_MESSAGE(how, std::string("NEEDS"),
                                         _daemon->detail(stage, "cause"));
            const std::string why = _daemon->detail(stage, "message");
            CPPUNIT_ASSERT_MESSAGE(why, has(why, "can't be put to vendor/lib/inner"));
            CPPUNIT_ASSERT(!fs::exists(workspaceOf(run) / "ran"));
            CPPUNIT_ASSERT(!fs::exists(workspaceOf(run) / ".stage-agent-restore"));
            CPPUNIT_ASSERT_MESSAGE(how, fs::is_empty(outside));
        }
    }

    void testDamagedFilesAreNotGiven()
    {
        lib();
        app("touch ran", "mkdir -p vendor/lib; echo before >vendor/lib/x");
        _daemon->start();
        ran("lib", R"("env":{"N":"1"})");
        const auto store = _daemon->state() / "artifacts";
        const auto object = agent::test::objectOf(store, agent::test::sha256Of("made by 1\n"));
        const auto damaged = [&](const std::string& wanted)
        {
            const std::string run = ran("app", "", "FAILURE");
            const std::string stage = _daemon->stagesOf(run)[1];
            CPPUNIT_ASSERT_EQUAL(std::string("NEEDS"), _daemon->detail(stage, "cause"));
            CPPUNIT_ASSERT_EQUAL(std::string("null"), _daemon->detail(stage, "exitCode"));
            const std::string why = _daemon->detail(stage, "message");
            CPPUNIT_ASSERT_MESSAGE(why, has(why, "could not be copied: " + wanted));
            CPPUNIT_ASSERT(!fs::exists(workspaceOf(run) / "ran"));
            CPPUNIT_ASSERT_EQUAL(std::string("before\n"),
                                 contentOf(workspaceOf(run) / "vendor/lib/x"));
        };
        fs::permissions(object, fs::perms::owner_all);
        std::ofstream(object) << "made by 2\n";
        damaged("dist/a: its content is damaged");
        std::ofstream(object) << "short";
        damaged("dist/a: its content is damaged");
        for (const auto& entry : fs::recursive_directory_iterator(_daemon->state() / "runs"))
            if (entry.path().filename() == "artifacts.jsonl")
                std::ofstream(entry.path(), std::ios::app) << "{}\n";
        damaged("the list of its files is missing or damaged");
    }

    void testItIsHeldUntilTheAttemptEnds()
    {
        lib();
        app(untilGo());
        _daemon->start();
        const std::string from = ran("lib");
        const std::string run = start("app");
        waitFor("the copy", [&] { return fs::exists(workspaceOf(run) / "at-work"); });
        CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + from).status);
        CPPUNIT_ASSERT_EQUAL(404, _daemon->get("/api/runs/" + from).status);
        // Another one's is removed meanwhile: what removes has had its turn.
        const std::string other = ran("lib", R"("env":{"N":"9"})");
        CPPUNIT_ASSERT_EQUAL(200, _daemon->request("DELETE", "/api/runs/" + other).status);
        waitFor("the other to go",
                [&] { return !fs::exists(setsOf(other)) && !fs::exists(folderOf(other)); });
        CPPUNIT_ASSERT(fs::exists(setsOf(from)) && fs::exists(folderOf(from)));
        std::ofstream(workspaceOf(run) / "go") << "go";
        _daemon->waitForRun(run, "SUCCESS");
        waitFor("it to go",
                [&] { return !fs::exists(setsOf(from)) && !fs::exists(folderOf(from)); });
        // What was given is still told.
        CPPUNIT_ASSERT_EQUAL(
            1U, _daemon->get("/api/stages/" + _daemon->stagesOf(run)[0]).json()["needs"].Size());
        waitFor("the store to be empty",
                [&] { return agent::test::contentsIn(_daemon->state() / "artifacts").empty(); });
    }

    void testADaemonThatIsKilledHoldsIt()
    {
        lib("", "", "true", ", keep: 300ms");
        app(untilGo());
        _daemon->start();
        const std::string from = ran("lib");
        const std::string run = start("app");
        waitFor("the copy", [&] { return fs::exists(workspaceOf(run) / "at-work"); });
        waitFor("its time to be over",
                [&] { return has(_daemon->output(), "artifacts 'dist' of run " + from); });
        CPPUNIT_ASSERT(has(_daemon->output(), "; from the disk when the stage"));
        _daemon->kill();
        // A set that nothing holds and no row has is found by the next start, and shows that it has looked.
        const fs::path stray = _daemon->state() / "artifacts/sets/stray/x.1";
        fs::create_directories(stray);
        _daemon->start();
        waitFor("the stray one to go", [&] { return !fs::exists(stray); });
        CPPUNIT_ASSERT(fs::exists(setsOf(from)));
        std::ofstream(workspaceOf(run) / "go") << "go";
        _daemon->waitForRun(run, "SUCCESS");
        waitFor("it to go",
                [&] { return agent::test::contentsIn(_daemon->state() / "artifacts").empty(); });
    }

    void testKilledWhileCopyingLeavesNoHalf()
    {
        lib("", "", "head -c 60000000 /dev/urandom >dist/big");
        app("sha256sum <vendor/lib/dist/big", "mkdir -p vendor/lib; echo before >vendor/lib/x");
        _daemon->start();
        ran("lib");
        const auto copying = [&](const std::string& run)
        {
            int pid = 0;
            waitFor("the copy",
                    [&]
                    {
                        pid = copierOf(_daemon->stagesOf(run)[1]);
                        return pid > 0 && fs::exists(workspaceOf(run) /
                                                     ".stage-agent-restore/needed/dist/big");
                    });
            return pid;
        };
        const auto half = [&](const std::string& run)
        { return contentOf(workspaceOf(run) / "vendor/lib/x") != "before\n"; };

        std::string run = start("app");
        ::kill(copying(run), SIGKILL);
        _daemon->waitForRun(run, "FAILURE");
        const std::string stage = _daemon->stagesOf(run)[1];
        CPPUNIT_ASSERT_EQUAL(std::string("SIGNAL"), _daemon->detail(stage, "cause"));
        CPPUNIT_ASSERT(!half(run));
        // The next attempt removes what is left, and has it whole.
        CPPUNIT_ASSERT_EQUAL(200,
                             _daemon->patch("/api/stages/" + stage, R"({"status":"IDLE"})").status);
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT(!fs::exists(workspaceOf(run) / ".stage-agent-restore"));

        run = start("app");
        const int pid = copying(run);
        ::kill(parentOf(pid), SIGKILL); // the shim
        _daemon->waitForRun(run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("SHIM_LOST"),
                             _daemon->detail(_daemon->stagesOf(run)[1], "cause"));
        CPPUNIT_ASSERT(!half(run));

        run = start("app");
        (void)copying(run);
        _daemon->kill();
        _daemon->start();
        _daemon->waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT(half(run)); // all of it, in place of what was there
    }

    void testAFullDiskLeavesNoHalf()
    {
        const agent::SmallDisk disk("64M");
        if (!disk.mounted())
            return;
        _daemon->set("state.dir", (disk.path() / "state").string());
        _daemon->set("disk.min_free", "0");
        lib("", "", "head -c 12000000 /dev/urandom >dist/big");
        app("touch ran", "mkdir -p vendor/lib; echo before >vendor/lib/x; head -c $(( "
                         "$(df --output=avail -B1 . | tail -1) - 6000000 )) /dev/zero >mine");
        _daemon->start();
        ran("lib");
        const std::string run = ran("app", "", "FAILURE");
        const std::string stage = _daemon->stagesOf(run)[1];
        CPPUNIT_ASSERT_EQUAL(std::string("DISK_FULL"), _daemon->detail(stage, "cause"));
        CPPUNIT_ASSERT(!fs::exists(workspaceOf(run) / "ran"));
        CPPUNIT_ASSERT(!fs::exists(workspaceOf(run) / ".stage-agent-restore"));
        CPPUNIT_ASSERT_EQUAL(std::string("before\n"), contentOf(workspaceOf(run) / "vendor/lib/x"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(NeedsTest);
