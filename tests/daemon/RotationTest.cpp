// A secret that gets another value: read anew, and the earlier one masked still. docs/secrets.md, "Rotation".
#include "tests/support/Daemon.h"
#include "tests/support/NotifySocket.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <fstream>

#include <sys/stat.h>

using agent::test::Daemon;
using agent::test::NotifySocket;
using agent::test::waitFor;

class RotationTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RotationTest);
    CPPUNIT_TEST(testAStageGetsTheValueOfItsStart);
    CPPUNIT_TEST(testAnEarlierValueStaysMaskedInLaterStages);
    CPPUNIT_TEST(testTheSecretsOfAllStagesAreMaskedInEach);
    CPPUNIT_TEST(testSystemdKeepsTheEarlierValuesOverARestart);
    CPPUNIT_TEST(testWithoutSystemdTheMemoryEndsWithTheDaemon);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAStageGetsTheValueOfItsStart()
    {
        service("test \"$TOKEN\" = first-value; touch " + flag("one") + "; " + await("two"),
                "test \"$TOKEN\" = newer-value");
        _daemon.start();
        const auto run = _daemon.submitService("app");
        waitFor("the first stage", [&] { return std::filesystem::exists(flag("one")); });
        _daemon.writeSecret("TOKEN", "newer-value\n");
        touch("two");
        _daemon.waitForRun(run, "SUCCESS");
    }

    /// The first stage keeps what it got, where another finds it; what the API shows of that is masked as well.
    void testAnEarlierValueStaysMaskedInLaterStages()
    {
        keepAndShow();
        _daemon.start();
        const auto run = _daemon.submitService("app");
        waitFor("the first stage", [&] { return std::filesystem::exists(flag("one")); });
        _daemon.writeSecret("TOKEN", "newer-value\n");
        touch("two");
        _daemon.waitForRun(run, "FAILURE");
        assertMasked(run);
    }

    void testTheSecretsOfAllStagesAreMaskedInEach()
    {
        _daemon.writeSecret("TOKEN", "first-value\n");
        _daemon.writeSecret("DEPLOY", "deploy-value\n");
        _daemon.writeService(
            "app", "name: app\nstages:\n"
                   "- { type: BUILD, plugin: shell, secrets: [DEPLOY], with: { command: 'echo "
                   "\"$DEPLOY\" > kept' } }\n"
                   "- { type: OTHER, plugin: shell, secrets: [TOKEN], with: { command: 'cat kept; "
                   "echo \"got ${DEPLOY-none} $TOKEN\"' } }\n");
        _daemon.start();
        const auto run = _daemon.submitService("app");
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("***\ngot none ***\n"),
                             _daemon.log(_daemon.stagesOf(run)[1]));
    }

    void testSystemdKeepsTheEarlierValuesOverARestart()
    {
        NotifySocket systemd(_daemon.folder() / "notify");
        _daemon.setEnvironment("NOTIFY_SOCKET", systemd.path());
        keepAndShow();
        _daemon.start();
        waitFor("the memory", [&] { return !systemd.stored().empty(); });
        CPPUNIT_ASSERT_EQUAL(std::ptrdiff_t(1), systemd.count("FDSTORE=1\nFDNAME=secrets"));
        const auto run = _daemon.submitService("app");
        waitFor("the first stage", [&] { return std::filesystem::exists(flag("one")); });
        for (const bool killed : {true, false})
        {
            _daemon.writeSecret("TOKEN", killed ? "newer-value\n" : "third-value\n");
            killed ? _daemon.kill() : static_cast<void>(_daemon.stop());
            passMemory(systemd);
            _daemon.start();
            // It is the one that it has: no other is given.
            CPPUNIT_ASSERT_EQUAL(std::size_t(1), systemd.stored().size());
        }
        touch("two");
        _daemon.waitForRun(run, "FAILURE");
        assertMasked(run);
    }

    /// Documented: what the file held before is not known any more.
    void testWithoutSystemdTheMemoryEndsWithTheDaemon()
    {
        service("true", "echo first-value");
        _daemon.start();
        _daemon.waitForRun(_daemon.submitService("app"), "SUCCESS");
        _daemon.stop();
        _daemon.writeSecret("TOKEN", "newer-value\n");
        _daemon.start();
        const auto run = _daemon.submitService("app");
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("first-value\n"), _daemon.log(_daemon.stagesOf(run)[1]));
    }

private:
    void service(const std::string& first, const std::string& second)
    {
        _daemon.writeSecret("TOKEN", "first-value\n");
        _daemon.writeService("app", "name: app\nsecrets: [TOKEN]\nstages:\n"
                                    "- type: BUILD\n  plugin: shell\n  with:\n    command: |\n"
                                    "      " +
                                        first +
                                        "\n- type: OTHER\n  plugin: shell\n  with:\n    command: "
                                        "|\n      " +
                                        second + "\n");
    }

    void keepAndShow()
    {
        service("echo \"$TOKEN\" >kept; touch " + flag("one") + "; " + await("two"),
                "cat kept; echo \"{\\\"$(cat kept)\\\": 1}\" >$STAGE_OUTPUTS");
    }

    void assertMasked(const std::string& run) const
    {
        const auto stage = _daemon.stagesOf(run)[1];
        CPPUNIT_ASSERT_EQUAL(std::string("***\n"), _daemon.log(stage));
        const std::string message = _daemon.detail(stage, "message");
        CPPUNIT_ASSERT_MESSAGE(message, message.find("'***' is no string") != std::string::npos);
    }

    /// As systemd would: the descriptor that it was given to keep.
    void passMemory(NotifySocket& systemd)
    {
        const std::filesystem::path folder = _daemon.folder() / "programs";
        const std::filesystem::path program = folder / "stage-agent";
        std::filesystem::create_directories(folder);
        std::ofstream(program) << "#!/bin/bash\nexec 3<>/proc/" << ::getpid() << "/fd/"
                               << systemd.stored().front().get()
                               << "\nexport LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=secrets\n"
                               << "exec " << STAGE_AGENT_BIN_DIR << "/stage-agent \"$@\"\n";
        ::chmod(program.c_str(), 0755);
        _daemon.setPrograms(folder);
    }

    [[nodiscard]] std::string flag(const std::string& name) const
    {
        return (_daemon.folder() / name).string();
    }
    [[nodiscard]] std::string await(const std::string& name) const
    {
        return "while ! test -e " + flag(name) + "; do sleep 0.02; done";
    }
    void touch(const std::string& name) const { std::ofstream(flag(name)) << ""; }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RotationTest);
