#include "tests/support/Namespace.h"
#include "tests/support/ShimRun.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <sys/mount.h>
#include <sys/stat.h>

namespace agent
{

using test::assertCause;
using test::contentOf;
using test::ShimRun;

namespace
{

/// A run in a state folder, as a daemon has it, with all of it hidden but what is the run's.
class SandboxedRun: public ShimRun
{
public:
    explicit SandboxedRun(bool withCgroup = false) : ShimRun(withCgroup)
    {
        sandbox();
        std::filesystem::create_directory(workspace());
        order.cwd = workspace().string();
        order.sandbox->home = (folder() / "home").string();
        order.sandbox->hidden = {folder().string()};
        order.env["HOME"] = order.sandbox->home;
        order.env["STAGE_OUTPUTS"] = (folder() / files::outputs).string();
        order.env["STAGE_MASK"] = (folder() / files::mask).string();
    }

    [[nodiscard]] std::filesystem::path workspace() const { return folder() / "workspace"; }
};

} // namespace

/// What a sandbox shows and hides, and that the ends in it are those without. ShimTest, ShimLogTest and
/// ShimRecordTest hold the rest: each of their claims is made in a sandbox too.
class ShimSandboxTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ShimSandboxTest);
    CPPUNIT_TEST(testEveryExitCodeAndSignalIsTheCommands);
    CPPUNIT_TEST(testWorkspaceHomeAndTheTwoFilesAreAllThatIsWritten);
    CPPUNIT_TEST(testTheHostIsReadOnlyAndWhatIsHiddenIsNotThere);
    CPPUNIT_TEST(testWhatIsHiddenIsHiddenUnderItsOtherNames);
    CPPUNIT_TEST(testPrivateFoldersAreEmptyAndGoWithTheStage);
    CPPUNIT_TEST(testNoProcessAndNoDescriptorOfOursIsSeen);
    CPPUNIT_TEST(testFirstProcessIsOutOfReach);
    CPPUNIT_TEST(testEnvironmentLoadsNothingIntoBubblewrap);
    CPPUNIT_TEST(testWithoutNetworkThereIsOnlyALoopback);
    CPPUNIT_TEST(testBindsAreShownAndNeverLeadToWhatIsHidden);
    CPPUNIT_TEST(testAStopBeforeTheCommandIsThereReachesIt);
    CPPUNIT_TEST(testFailureOfBubblewrapIsSpawnErrorWithItsWords);
    CPPUNIT_TEST(testNamespacesOfItsOwnWork);
    CPPUNIT_TEST_SUITE_END();

public:
    void testEveryExitCodeAndSignalIsTheCommands();
    void testWorkspaceHomeAndTheTwoFilesAreAllThatIsWritten();
    void testTheHostIsReadOnlyAndWhatIsHiddenIsNotThere();
    void testWhatIsHiddenIsHiddenUnderItsOtherNames();
    void testPrivateFoldersAreEmptyAndGoWithTheStage();
    void testNoProcessAndNoDescriptorOfOursIsSeen();
    void testFirstProcessIsOutOfReach();
    void testEnvironmentLoadsNothingIntoBubblewrap();
    void testWithoutNetworkThereIsOnlyALoopback();
    void testBindsAreShownAndNeverLeadToWhatIsHidden();
    void testAStopBeforeTheCommandIsThereReachesIt();
    void testFailureOfBubblewrapIsSpawnErrorWithItsWords();
    void testNamespacesOfItsOwnWork();

private:
    /// What `script` prints; it is to exit with 0.
    static std::string said(SandboxedRun& run, const std::string& script)
    {
        run.shell(script);
        const Outcome outcome = run.run();
        CPPUNIT_ASSERT_MESSAGE(outcome.message + "\n" + run.log(), outcome.succeeded());
        return run.log();
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ShimSandboxTest);

void ShimSandboxTest::testEveryExitCodeAndSignalIsTheCommands()
{
    if (!test::canSandbox())
        return;
    for (const int code : {0, 1, 2, 126, 127, 128, 137, 139, 143, 255})
    {
        SandboxedRun run;
        run.shell("exit " + std::to_string(code));
        const Outcome outcome = run.run();
        assertCause(Cause::Exit, outcome);
        CPPUNIT_ASSERT_EQUAL(code, outcome.exitCode.value_or(-1));
    }
    for (const int signal : {SIGKILL, SIGTERM, SIGSEGV, SIGABRT, SIGPIPE, SIGRTMIN})
    {
        SandboxedRun run;
        run.shell("kill -" + std::to_string(signal) + " $$");
        const Outcome outcome = run.run();
        assertCause(Cause::Signal, outcome);
        CPPUNIT_ASSERT_EQUAL(signal, outcome.signal.value_or(-1));
    }
}

void ShimSandboxTest::testWorkspaceHomeAndTheTwoFilesAreAllThatIsWritten()
{
    if (!test::canSandbox())
        return;
    SandboxedRun run;
    said(run, "echo a > file; echo b > \"$HOME\"/file; echo '{}' > \"$STAGE_OUTPUTS\"; "
              "echo secretword >> \"$STAGE_MASK\"; umask; "
              "! touch ../file && ! rm \"$STAGE_OUTPUTS\" && ! mkdir ../home2");
    CPPUNIT_ASSERT_EQUAL(std::string("a\n"), contentOf(run.workspace() / "file"));
    CPPUNIT_ASSERT_EQUAL(std::string("b\n"), contentOf(run.folder() / "home" / "file"));
    CPPUNIT_ASSERT_EQUAL(std::string("{}\n"), contentOf(run.folder() / "outputs.json"));
    CPPUNIT_ASSERT(run.log().starts_with("0022\n"));
    CPPUNIT_ASSERT(!std::filesystem::exists(run.folder() / "file"));
}

void ShimSandboxTest::testTheHostIsReadOnlyAndWhatIsHiddenIsNotThere()
{
    if (!test::canSandbox())
        return;
    SandboxedRun run;
    std::ofstream(run.folder() / "secret") << "x";
    // A folder on the host's own file system: /tmp is hidden as a whole.
    const std::string beside = STAGE_AGENT_BIN_DIR "/sandbox-test-" + std::to_string(::getpid());
    std::filesystem::create_directories(beside + "/folder");
    std::ofstream(beside + "/file") << "x";
    std::ofstream(beside + "/folder/inside") << "x";
    run.order.sandbox->hidden.push_back(beside + "/file");
    run.order.sandbox->hidden.push_back(beside + "/folder");
    run.order.sandbox->hidden.push_back(beside + "/not-there");
    const std::string log =
        said(run, "ls -A ..; cat " + beside + "/file; ls -A " + beside + "/folder; touch " +
                      beside + "/new " + beside + "/folder/new /etc/new /usr/new 2>&1; true");
    std::filesystem::remove_all(beside);
    CPPUNIT_ASSERT_MESSAGE(log, log.find("secret") == std::string::npos);
    CPPUNIT_ASSERT_MESSAGE(log, log.find("order.json") == std::string::npos);
    CPPUNIT_ASSERT_MESSAGE(log, log.find("inside") == std::string::npos);
    std::size_t refused = 0;
    for (std::size_t at = 0; (at = log.find("Read-only file system", at)) != std::string::npos;
         ++at)
        ++refused;
    CPPUNIT_ASSERT_EQUAL_MESSAGE(log, std::size_t{4}, refused);
}

/// A bind mount shows a folder, or a part of it, in a second place.
void ShimSandboxTest::testWhatIsHiddenIsHiddenUnderItsOtherNames()
{
    const test::MountNamespace mounts;
    if (!test::canSandbox() || !mounts.own())
    {
        std::cout << " (skipped: only root mounts) " << std::flush;
        return;
    }
    const std::string beside = STAGE_AGENT_BIN_DIR "/sandbox-test-" + std::to_string(::getpid());
    for (const char* folder : {"/all/hidden/part", "/again", "/part again"})
        std::filesystem::create_directories(beside + folder);
    std::ofstream(beside + "/all/hidden/secret") << "x";
    std::ofstream(beside + "/all/hidden/part/secret") << "x";
    const bool mounted = ::mount((beside + "/all").c_str(), (beside + "/again").c_str(), nullptr,
                                 MS_BIND, nullptr) == 0 &&
                         ::mount((beside + "/all/hidden/part").c_str(),
                                 (beside + "/part again").c_str(), nullptr, MS_BIND, nullptr) == 0;
    SandboxedRun run;
    run.order.sandbox->hidden.push_back(beside + "/all/hidden");
    const std::string log = mounted ? said(run, "find " + beside) : "";
    for (const char* folder : {"/again", "/part again"})
        ::umount((beside + folder).c_str());
    std::filesystem::remove_all(beside);
    CPPUNIT_ASSERT_MESSAGE(log, log.find("/part again\n") != std::string::npos);
    CPPUNIT_ASSERT_MESSAGE(log, log.find("secret") == std::string::npos);
}

void ShimSandboxTest::testPrivateFoldersAreEmptyAndGoWithTheStage()
{
    if (!test::canSandbox())
        return;
    const std::string mark = "/stage-agent-sandbox-" + std::to_string(::getpid());
    SandboxedRun run;
    const std::string log =
        said(run, "for d in /tmp /var/tmp /dev/shm /run /home /root; do touch $d" + mark +
                      " && ls -A $d; done; stat -c %a /tmp /dev/shm");
    for (const char* folder : {"/tmp", "/var/tmp", "/dev/shm", "/run", "/home", "/root"})
    {
        std::error_code notOurs; // of /root, where we are not root
        CPPUNIT_ASSERT_MESSAGE(folder, !std::filesystem::exists(folder + mark, notOurs));
    }
    CPPUNIT_ASSERT_MESSAGE(log, log.ends_with("1777\n1777\n"));
    CPPUNIT_ASSERT_MESSAGE(log, log.find("docker") == std::string::npos);
}

void ShimSandboxTest::testNoProcessAndNoDescriptorOfOursIsSeen()
{
    if (!test::canSandbox())
        return;
    SandboxedRun run;
    run.leakedFd = 40;
    const int leaked = ::open("/dev/null", O_RDONLY);
    ::dup2(leaked, 40);
    const std::string log =
        said(run, "exec 2>&1; echo $$; ls /proc/self/fd; ls -d /proc/[0-9]* | wc -l");
    ::close(40);
    ::close(leaked);
    // Of ls itself: 0, 1, 2 and the folder that it reads; of processes: the first, the shell, ls and wc.
    CPPUNIT_ASSERT_MESSAGE(log, log.starts_with("2\n0\n1\n2\n3\n"));
    CPPUNIT_ASSERT_MESSAGE(log, log == "2\n0\n1\n2\n3\n4\n" || log == "2\n0\n1\n2\n3\n3\n");
}

void ShimSandboxTest::testFirstProcessIsOutOfReach()
{
    if (!test::canSandbox())
        return;
    SandboxedRun run;
    const std::string log =
        said(run, "exec 2>&1; for s in KILL STOP TERM HUP INT SEGV; do kill -$s 1; done; "
                  "cat /proc/1/environ; cat /proc/1/mem; cat /proc/1/maps; "
                  "for f in 0 1 2 3 4 5 6 7 8; do echo x > /proc/1/fd/$f && echo reached; done; "
                  "ls /proc/1/root/ && echo reached; true");
    CPPUNIT_ASSERT_MESSAGE(log, log.find("reached") == std::string::npos);
    CPPUNIT_ASSERT_MESSAGE(log, log.find("Permission denied") != std::string::npos);
}

void ShimSandboxTest::testEnvironmentLoadsNothingIntoBubblewrap()
{
    if (!test::canSandbox())
        return;
    // A service may set it; bubblewrap would load it before there is a sandbox.
    SandboxedRun run;
    run.order.env["LD_PRELOAD"] = "/nowhere/library.so";
    run.order.env["LD_LIBRARY_PATH"] = run.workspace().string();
    const std::string log = said(run, "echo \"$LD_PRELOAD\"; exec /bin/true");
    // The shell and true complain, in the log; nobody else did.
    CPPUNIT_ASSERT_MESSAGE(log, log.find("/nowhere/library.so\n") != std::string::npos);
}

void ShimSandboxTest::testWithoutNetworkThereIsOnlyALoopback()
{
    if (!test::canSandbox())
        return;
    SandboxedRun run;
    run.order.sandbox->network = Network::None;
    CPPUNIT_ASSERT_EQUAL(std::string("lo\n"),
                         said(run, "sed -n 's/^ *\\(.*\\):.*/\\1/p' /proc/net/dev"));
}

void ShimSandboxTest::testBindsAreShownAndNeverLeadToWhatIsHidden()
{
    if (!test::canSandbox())
        return;
    const auto cache =
        std::filesystem::temp_directory_path() / ("sandbox-cache-" + std::to_string(::getpid()));
    std::filesystem::create_directories(cache / "inner");
    std::ofstream(cache / "file") << "cached";
    {
        SandboxedRun run;
        run.order.sandbox->hidden.push_back((cache / "inner").string());
        std::ofstream(cache / "inner" / "secret") << "x";
        run.order.sandbox->binds = {{.path = cache.string(), .writable = true},
                                    {.path = "/dev/full"}};
        const std::string log =
            said(run, "cat " + cache.string() + "/file; touch " + cache.string() + "/made; ls " +
                          cache.string() + "/inner; echo x 2>/dev/null > /dev/full || echo full");
        CPPUNIT_ASSERT_EQUAL(std::string("cachedfull\n"), log);
        CPPUNIT_ASSERT(std::filesystem::exists(cache / "made"));
    }
    const auto refusal = [&](const std::filesystem::path& path)
    {
        SandboxedRun run;
        run.order.sandbox->hidden.push_back((cache / "inner").string());
        run.order.sandbox->binds = {{.path = path.string()}};
        run.shell("true");
        const Outcome outcome = run.run();
        assertCause(Cause::SpawnError, outcome);
        return outcome.message;
    };
    std::filesystem::create_directory_symlink(cache / "inner", cache / "link");
    std::filesystem::create_directory_symlink(cache, cache / "around");
    for (const auto& path : {cache / "link", cache / "inner", cache / "around"})
        CPPUNIT_ASSERT_EQUAL("no sandbox for the stage: the bind " + path.string() + " leads to " +
                                 (cache / "inner").string() + ", which no stage may see",
                             refusal(path));
    CPPUNIT_ASSERT_EQUAL(std::string("no sandbox for the stage: cannot bind /no/such: No such "
                                     "file or directory"),
                         refusal("/no/such"));
    std::filesystem::remove_all(cache);
}

void ShimSandboxTest::testAStopBeforeTheCommandIsThereReachesIt()
{
    if (!test::canSandbox())
        return;
    // Symptom: a stage that was stopped while bubblewrap still mounted things sat out its grace and was killed.
    // Cause: TERM found no command yet, and a first process does not end by it. Bound: it gets it when it is there.
    for (int i = 0; i < 20; ++i)
    {
        SandboxedRun run;
        run.order.graceMs = 20'000;
        run.shell("sleep 600");
        run.start();
        CPPUNIT_ASSERT(
            test::eventually([&] { return !contentOf(run.folder() / files::lock).empty(); }));
        run.signalShim(SIGTERM);
        const Outcome outcome = run.finish();
        assertCause(Cause::Stopped, outcome);
        CPPUNIT_ASSERT_EQUAL(std::string("stopped"), outcome.message);
    }
}

void ShimSandboxTest::testFailureOfBubblewrapIsSpawnErrorWithItsWords()
{
    if (!test::canSandbox())
        return;
    SandboxedRun missing;
    missing.order.sandbox->program = "/no/bwrap";
    missing.shell("true");
    const Outcome none = missing.run();
    assertCause(Cause::SpawnError, none);
    CPPUNIT_ASSERT_EQUAL(std::string("cannot execute '/no/bwrap': No such file or directory"),
                         none.message);

    SandboxedRun nowhere;
    nowhere.order.sandbox->program.clear();
    nowhere.shell("true");
    CPPUNIT_ASSERT_EQUAL(std::string("no sandbox for the stage: bubblewrap is not installed"),
                         nowhere.run().message);

    SandboxedRun broken;
    const std::string program = (broken.workspace() / "bwrap").string();
    std::ofstream(program)
        << "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\n"
           "exit 1\n";
    ::chmod(program.c_str(), 0755);
    broken.order.sandbox->program = program;
    broken.shell("true");
    const Outcome refused = broken.run();
    assertCause(Cause::SpawnError, refused);
    CPPUNIT_ASSERT_EQUAL(std::string("no sandbox for the stage: bwrap: No permissions to create "
                                     "new namespace"),
                         refused.message);
    CPPUNIT_ASSERT_EQUAL(std::string(), broken.log());
}

void ShimSandboxTest::testNamespacesOfItsOwnWork()
{
    if (!test::canSandbox())
        return;
    if (::geteuid() == 0) // a stage of root's may not map root once more: it has no CAP_SETFCAP
    {
        std::cout << " (skipped: not as root) " << std::flush;
        return;
    }
    SandboxedRun run;
    CPPUNIT_ASSERT_EQUAL(
        std::string("mounted\n"),
        said(run, "unshare -Urm sh -c 'mount -t tmpfs none /mnt && touch /mnt/x && echo mounted'"));
}

} // namespace agent
