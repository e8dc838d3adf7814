// Findings of `stagectl doctor` on faulty hosts: one fault per test.
#include "agent/store/ServiceIds.h"
#include "tests/support/DoctorFixture.h"
#include "tests/support/Namespace.h"
#include "tests/support/Receiver.h"
#include "tests/support/Stages.h"

#include <Poco/Net/ServerSocket.h>

#include <fcntl.h>
#include <sys/mount.h>

namespace fs = std::filesystem;

using agent::test::contentOf;
using agent::test::DoctorFixture;
using agent::test::listOf;
using agent::test::MountNamespace;
using agent::test::Receiver;
using agent::test::Seen;
using agent::test::shell;
using agent::test::waitFor;

namespace
{

constexpr int nobody = 65534;

} // namespace

class DoctorFaultsTest: public DoctorFixture
{
    CPPUNIT_TEST_SUITE(DoctorFaultsTest);
    CPPUNIT_TEST(testReportsAnInvalidKeyWithItsLine);
    CPPUNIT_TEST(testReportsAMissingFile);
    CPPUNIT_TEST(testDoesNotCreateAMissingStateFolder);
    CPPUNIT_TEST(testReportsAnUnusableStateFolder);
    CPPUNIT_TEST(testReportsWhoCanGetIn);
    CPPUNIT_TEST(testKnowsTheUnitsUserWithoutAStateFolder);
    CPPUNIT_TEST(testFindsAnAgentThatStartedOnAFullDisk);
    CPPUNIT_TEST(testReportsLowDiskSpace);
    CPPUNIT_TEST(testReportsTheProcessThatHoldsThePort);
    CPPUNIT_TEST(testReportsAPortThatDiffersFromTheConfiguration);
    CPPUNIT_TEST(testReportsAnInvalidServiceWithItsLine);
    CPPUNIT_TEST(testReportsPluginsThatDoNotLoad);
    CPPUNIT_TEST(testReportsMissingGit);
    CPPUNIT_TEST(testLooksAtTheTargetsOfReports);
    CPPUNIT_TEST(testSaysWhoHasNoSandboxAndWhatIsMissingForOne);
    CPPUNIT_TEST(testChecksSecretsWithoutShowingThem);
    CPPUNIT_TEST(testReportsADamagedRecord);
    CPPUNIT_TEST(testFindsADamagedPageOnlyByAFullCheck);
    CPPUNIT_TEST(testReportsANewerRecord);
    CPPUNIT_TEST_SUITE_END();

public:
    void testReportsAnInvalidKeyWithItsLine()
    {
        configure({{"executor.slot", "3"}, {"stage.timeout", "soon"}});
        const auto all = examined(1);
        assertSeen(all, "configuration", "fail", "agent.properties:" + lineOf("executor.slot"));
        assertSeen(all, "configuration", "fail", "unknown key");
        assertSeen(all, "configuration", "fail",
                   "agent.properties:" + lineOf("stage.timeout") + ": stage.timeout");
        // On the command line, as for the agent.
        configure({});
        assertSeen(examined(1, {"-D", "http.port=many"}), "configuration", "fail", "'many'");
    }

    void testReportsAMissingFile()
    {
        fs::remove(_config);
        assertSeen(examined(1), "configuration", "fail", _config.string());
    }

    void testDoesNotCreateAMissingStateFolder()
    {
        const auto all = examined(1); // the agent does not run
        assertSeen(all, "state folder", "ok", "does not exist yet");
        assertSeen(all, "record", "ok", "does not exist yet");
        CPPUNIT_ASSERT(!fs::exists(_daemon.state()));
    }

    void testReportsAnUnusableStateFolder()
    {
        const fs::path file = _daemon.folder() / "file";
        std::ofstream(file) << "x";
        configure({{"state.dir", (file / "state").string()}});
        assertSeen(examined(1), "state folder", "fail", file.string() + " is not a folder");
        if (!asRoot())
            return;
        const fs::path state = _daemon.folder() / "theirs";
        fs::create_directory(state);
        CPPUNIT_ASSERT_EQUAL(0, ::chown(state.c_str(), nobody, nobody));
        ::chmod(state.c_str(), 0500);
        configure({{"state.dir", state.string()}});
        const auto all = examined(1);
        assertSeen(all, "user", "ok", "root, checking as nobody");
        assertSeen(all, "state folder", "fail", "can't be written by nobody");
        ::chmod(state.c_str(), 0755);
        assertSeen(examined(1), "state folder", "warn", "mode 0755");
    }

    void testReportsWhoCanGetIn()
    {
        assertSeen(examined(1), "access", "ok", "the first start writes ");
        _daemon.start();
        const fs::path file = _daemon.state() / "admin.token";
        assertSeen(examined(0), "access", "ok", "only its owner can read " + file.string());
        ::chmod(file.c_str(), 0644);
        const auto loose = examined(1);
        assertSeen(loose, "access", "fail", file.string() + " can be read or written by other");
        CPPUNIT_ASSERT(holds(oneOf(loose, "access").advice, "restart the agent"));
        ::chmod(file.c_str(), 0600);
        configure({{"auth.required", "false"}});
        assertSeen(examined(0), "access", "warn", "auth.required is false");
        configure({});
        fs::remove(file);
        assertSeen(examined(0), "access", "warn", "there is no " + file.string());
    }

    void testKnowsTheUnitsUserWithoutAStateFolder()
    {
        // Symptom: all checks passed as root although root owned the state folder and the unit could not start.
        // Cause: its owner was taken for the agent's user. Bound: with the installed configuration it is the
        // unit's.
        const MountNamespace mounts;
        const fs::path over = _daemon.folder() / "etc";
        for (const char* name : {"upper/stage-agent", "work"})
            fs::create_directories(over / name);
        fs::permissions(over / "upper", fs::perms(0755));
        std::ofstream(over / "upper/passwd")
            << contentOf("/etc/passwd") << "stage-agent:x:64999:64999::/:/bin/false\n";
        ::chmod((over / "upper/passwd").c_str(), 0644);
        fs::copy_file(_config, over / "upper/stage-agent/stage-agent.properties");
        for (const char* name : {"upper/stage-agent", "upper/stage-agent/stage-agent.properties"})
            CPPUNIT_ASSERT(::chmod((over / name).c_str(), 0755) == 0);
        const std::string options = "lowerdir=/etc,upperdir=" + (over / "upper").string() +
                                    ",workdir=" + (over / "work").string();
        if (!asRoot() || !mounts.own() ||
            ::mount("overlay", "/etc", "overlay", 0, options.c_str()) != 0)
        {
            std::cout << " (skipped: /etc can't be overlaid) " << std::flush;
            return;
        }
        fs::create_directories(_daemon.state());
        ::chmod(_daemon.state().c_str(), 0700);
        _config = "/etc/stage-agent/stage-agent.properties";
        const auto all = examined(1);
        assertSeen(all, "user", "ok", "root, checking as stage-agent");
        assertSeen(all, "state folder", "fail", "can't be written by stage-agent");
        CPPUNIT_ASSERT(holds(oneOf(all, "state folder").advice, "chown -R stage-agent "));
        ::umount2("/etc", MNT_DETACH);
    }

    void testFindsAnAgentThatStartedOnAFullDisk()
    {
        _daemon.start();
        std::ofstream(_daemon.state() / "lock", std::ios::trunc).flush();
        assertSeen(examined(0), "state folder", "ok",
                   "in use by the agent with pid " + std::to_string(_daemon.pid()));
    }

    void testReportsLowDiskSpace()
    {
        configure({{"disk.min_free", "1000000G"}});
        const auto all = examined(1);
        assertSeen(all, "disk", "fail", "no new stages start");
        CPPUNIT_ASSERT(holds(oneOf(all, "disk").advice, "stagectl delete"));
    }

    void testReportsTheProcessThatHoldsThePort()
    {
        const Poco::Net::ServerSocket taken(Poco::Net::SocketAddress("127.0.0.1", 0));
        // Else stagectl holds it too.
        CPPUNIT_ASSERT(::fcntl(taken.impl()->sockfd(), F_SETFD, FD_CLOEXEC) == 0);
        const std::string address = taken.address().toString();
        configure({{"http.port", std::to_string(taken.address().port())}});
        assertSeen(examined(1), "port", "fail",
                   address + " is taken by daemon-tests (pid " + std::to_string(::getpid()) + ")");
        configure({{"http.address", "0.0.0.0"}});
        assertSeen(examined(1), "configuration", "fail", "0.0.0.0 is not loopback");
    }

    void testReportsAPortThatDiffersFromTheConfiguration()
    {
        _daemon.start();
        configure({{"http.port", "7"}});
        assertSeen(examined(0), "port", "warn", "the configuration says http.port = 7");
    }

    void testReportsAnInvalidServiceWithItsLine()
    {
        _daemon.writeService("payment", "name: payment\nstages:\n"
                                        "  - { type: BUILD, plugin: shel, with: {} }\n");
        const auto all = examined(1);
        assertSeen(all, "services", "fail", "payment.yaml:3: stages[0].plugin");
        CPPUNIT_ASSERT(holds(oneOf(all, "services").advice, "systemctl reload stage-agent"));
    }

    void testReportsPluginsThatDoNotLoad()
    {
        const fs::path folder = _daemon.folder() / "plugins" / "noise";
        fs::create_directories(folder);
        std::ofstream(folder / "plugin.yaml")
            << "name: noise\nversion: 1.0.0\ndescription: Noise.\nlibrary: noise.so\n";
        std::ofstream(folder / "noise.so") << "this is no ELF file";
        const fs::path other = _daemon.folder() / "plugins" / "gone";
        fs::create_directories(other);
        std::ofstream(other / "plugin.yaml")
            << "name: gone\nversion: 1.0.0\ndescription: Gone.\nrun: [no-such-program-here]\n";
        for (const auto& path : {folder.parent_path(), folder, other, folder / "plugin.yaml",
                                 folder / "noise.so", other / "plugin.yaml"})
            ::chmod(path.c_str(), 0755);
        const auto all = examined(1);
        assertSeen(all, "plugins", "fail", "noise: " + (folder / "noise.so").string());
        // Services that use it may set a PATH that contains it.
        assertSeen(all, "plugins", "warn", "gone: program 'no-such-program-here'");
        std::ofstream(folder / "plugin.yaml") << "name: noise\n";
        assertSeen(examined(1), "plugins", "fail", (folder / "plugin.yaml").string());
    }

    void testLooksAtTheTargetsOfReports()
    {
        const Receiver receiver;
        const auto folder = _daemon.folder() / "outbox.d";
        std::filesystem::create_directories(folder);
        configure({{"outbox.dir", folder.string()}});
        const auto write = [&](const std::string& name, const std::string& url)
        {
            std::ofstream(folder / (name + ".yaml"))
                << "name: " << name << "\ntype: webhook\nurl: " << url << "\n";
        };
        write("up", receiver.url("/reports?key=hidden"));
        write("down", "http://127.0.0.1:1/reports");
        const auto all = examined(1); // no agent answers
        assertSeen(all, "targets", "ok", "up (webhook, " + receiver.url() + ") can be reached");
        assertSeen(all, "targets", "warn", "down (webhook, http://127.0.0.1:1/reports) can't be");
        CPPUNIT_ASSERT(receiver.all().empty()); // nothing was sent
        write("wrong", "gopher://x");
        assertSeen(examined(1), "targets", "fail", "wrong.yaml:3: url: must be a URL");
    }

    void testReportsMissingGit()
    {
        const MountNamespace mounts;
        if (!mounts.own() || ::mount("/dev/null", "/usr/bin/git", nullptr, MS_BIND, nullptr) != 0)
        {
            std::cout << " (skipped: git can't be taken away) " << std::flush;
            return;
        }
        const auto before = examined(1);
        assertSeen(before, "git", "warn", std::string("not found in ") + std::getenv("PATH"));
        CPPUNIT_ASSERT(holds(oneOf(before, "git").advice, "apt install git"));
        _daemon.writeService("payment", "name: payment\nrepository: https://git.example.org/p.git\n"
                                        "stages:\n  - { type: PREPARE, plugin: git }\n");
        assertSeen(examined(1), "git", "fail", "not found in ");
    }

    void testSaysWhoHasNoSandboxAndWhatIsMissingForOne()
    {
        const std::string stages =
            "stages:\n  - { type: BUILD, plugin: shell, with: { command: 'true' } }\n";
        _daemon.writeService("docker", "name: docker\nisolation: none\n" + stages);
        configure({{"isolation.none_allowed", "dock*"}, {"isolation.default", "none"}});
        const auto chosen = oneOf(examined(1), "isolation");
        CPPUNIT_ASSERT_EQUAL(std::string("warn"), chosen.status);
        configure({{"isolation.none_allowed", "dock*"}, {"isolation.default", "sandbox"}});
        if (oneOf(examined(1), "isolation").status == "ok")
            assertSeen(examined(1), "isolation", "ok", "but not those of: docker");

        const MountNamespace mounts;
        if (!mounts.own() || ::mount("/dev/null", "/usr/bin/bwrap", nullptr, MS_BIND, nullptr) != 0)
        {
            std::cout << " (skipped: bubblewrap can't be taken away) " << std::flush;
            return;
        }
        const auto missing = oneOf(examined(1), "isolation");
        CPPUNIT_ASSERT_EQUAL(std::string("warn"), missing.status);
        CPPUNIT_ASSERT(holds(missing.seen, "bubblewrap is not installed"));
        CPPUNIT_ASSERT_EQUAL(std::string("apt install bubblewrap"), missing.advice);
    }

    void testChecksSecretsWithoutShowingThem()
    {
        _daemon.writeService("payment",
                             "name: payment\nsecrets: [FIRST, SECOND, SHORT]\nstages:\n"
                             "  - { type: BUILD, plugin: shell, with: { command: 'true' } }\n");
        _daemon.writeSecret("FIRST", "the-first-value");
        _daemon.writeSecret("SHORT", "q7");
        const fs::path secrets = _daemon.folder() / "secrets";
        ::chmod((secrets / "FIRST").c_str(), 0644);
        ::chmod(secrets.c_str(), 0755);
        const auto all = examined(1);
        assertSeen(all, "secrets", "warn", secrets.string() + " is accessible to others");
        assertSeen(all, "secrets", "fail",
                   (secrets / "FIRST").string() +
                       "): its mode 0644 lets others than its owner use it");
        for (const Seen& each : all)
            if (each.check == "secrets" && each.status == "warn") // accessible only to the owner
                CPPUNIT_ASSERT_MESSAGE(each.advice, each.advice.starts_with("chown "));
        assertSeen(all, "secrets", "fail", "secret 'SECOND'");
        assertSeen(all, "secrets", "fail", "for the service payment");
        assertSeen(all, "secrets", "fail", "secret 'SHORT'");
        for (const Seen& each : all)
            for (const char* value : {"the-first-value", "q7"})
                CPPUNIT_ASSERT(!holds(each.seen, value) && !holds(each.advice, value));
    }

    void testReportsADamagedRecord()
    {
        const fs::path record = recordOfAStoppedAgent();
        const auto size = fs::file_size(record);
        CPPUNIT_ASSERT(size > 8192);
        overwrite(record, 4096, std::string(size - 4096, '\x5a'));
        assertSeen(examined(1), "record", "fail", "is damaged: ");
        overwrite(record, 0, "this is no database at all");
        const auto all = examined(1);
        assertSeen(all, "record", "fail", record.string() + " is damaged: ");
        CPPUNIT_ASSERT(holds(oneOf(all, "record").advice, "backup"));
    }

    /// The start does not read the page and succeeds; the background check reports it.
    void testFindsADamagedPageOnlyByAFullCheck()
    {
        const fs::path record = recordOfAStoppedAgent();
        {
            agent::Database database(record);
            agent::Transaction transaction(database.writer());
            for (int i = 0; i < 20'000; ++i) // more than the free pages hold
                agent::ServiceIds(database.writer()).of("service " + std::to_string(i));
            transaction.commit();
        }
        overwrite(record, static_cast<std::streamoff>(fs::file_size(record) / 4096 - 20) * 4096,
                  std::string(16384, '\xa5'));
        fs::remove(_daemon.state() / "record.checked"); // as after a week
        assertSeen(examined(1), "record", "ok", "can be opened, ");
        assertSeen(examined(1, {"--record"}), "record", "fail", record.string() + " is damaged: ");
        _daemon.start();
        waitFor("the damage in /healthz", [&]
                { return holds(_daemon.get("/healthz").body, "store: the record is damaged: "); });
        CPPUNIT_ASSERT_EQUAL(503, _daemon.get("/healthz").status);
        CPPUNIT_ASSERT_EQUAL(503, _daemon.get("/readyz").status);
        CPPUNIT_ASSERT(holds(_daemon.get("/metrics").body, "\nstage_agent_record_damaged 1\n"));
        CPPUNIT_ASSERT(holds(_daemon.output(), "the record " + record.string() + " is damaged: "));
        CPPUNIT_ASSERT(!fs::exists(_daemon.state() / "record.checked"));
        assertSeen(examined(1), "ready", "fail", "store: the record is damaged: ");
    }

    void testReportsANewerRecord()
    {
        const fs::path record = recordOfAStoppedAgent();
        overwrite(record, 60, std::string("\0\0\0\x63", 4)); // user_version, in the file's header
        assertSeen(examined(1), "record", "fail", "has schema 99, this version supports up to ");
    }

private:
    std::string lineOf(const std::string& key) const
    {
        std::ifstream file(_config);
        int number = 1;
        for (std::string line; std::getline(file, line) && !line.starts_with(key + " "); ++number)
        {
        }
        return std::to_string(number);
    }

    fs::path recordOfAStoppedAgent()
    {
        _daemon.start();
        _daemon.waitForRun(_daemon.submit(listOf({shell("true")})), "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        return _daemon.state() / "record.db";
    }

    static void overwrite(const fs::path& file, std::streamoff at, const std::string& bytes)
    {
        std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
        stream.seekp(at);
        stream << bytes;
        CPPUNIT_ASSERT(stream.flush().good());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DoctorFaultsTest);
