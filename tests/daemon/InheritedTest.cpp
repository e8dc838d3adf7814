#include "tests/support/Daemon.h"
#include "tests/support/Program.h"
#include "tests/support/Stages.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <sys/stat.h>

using agent::test::Daemon;
using agent::test::listOf;
using agent::test::runProgram;
using agent::test::shell;

/// What stages have from whoever started the agent, what a command may look like, and what is said of a service
/// whose file is broken.
class InheritedTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(InheritedTest);
    CPPUNIT_TEST(testPathAndLanguageAreTheAgents);
    CPPUNIT_TEST(testTheUmaskIsTheAgents);
    CPPUNIT_TEST(testACommandMayBeginWithADash);
    CPPUNIT_TEST(testABrokenServiceSaysWhatIsBroken);
    CPPUNIT_TEST_SUITE_END();

public:
    /// Symptom: a program in the agent's PATH was not found by its stages. Bound: the service's env wins.
    void testPathAndLanguageAreTheAgents()
    {
        _daemon.setEnvironment("PATH", "/opt/tools/bin:/usr/bin:/bin");
        _daemon.setEnvironment("LANG", "en_GB.UTF-8");
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("/opt/tools/bin:/usr/bin:/bin en_GB.UTF-8\n"),
                             logOf("echo $PATH $LANG"));
        _daemon.stop();
        _daemon.setEnvironment("LANG", "");
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("C.UTF-8\n"), logOf("echo $LANG"));
    }

    /// The agent's own files stay private, whatever it is.
    void testTheUmaskIsTheAgents()
    {
        const mode_t before = ::umask(027);
        _daemon.start();
        ::umask(before);
        CPPUNIT_ASSERT_EQUAL(std::string("0027\n"), logOf("umask"));
        struct stat info = {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat((_daemon.state() / "record.db").c_str(), &info));
        CPPUNIT_ASSERT_EQUAL(0U, static_cast<unsigned>(info.st_mode) & 077U);
    }

    void testACommandMayBeginWithADash()
    {
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("no -x\n"), logOf("-x 2>/dev/null || echo no -x"));
    }

    /// Symptom: `there is no service 'payment'`, while its file lay there. Bound: others are used, and one that
    /// was right before still is.
    void testABrokenServiceSaysWhatIsBroken()
    {
        const std::string good =
            "stages:\n  - { type: BUILD, plugin: shell, with: { command: 'true' } }\n";
        _daemon.writeService("good", "name: good\n" + good);
        _daemon.writeService("payment", "name: payment\nrepo: x\n" + good);
        _daemon.start();
        for (const auto& answer : {_daemon.post("/api/runs", R"({"service":"payment"})"),
                                   _daemon.get("/api/services/payment")})
        {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 409, answer.status);
            CPPUNIT_ASSERT_MESSAGE(answer.body,
                                   answer.body.find("service_broken") != std::string::npos);
            CPPUNIT_ASSERT_MESSAGE(answer.body,
                                   answer.body.find("payment.yaml:2: repo: unknown key") !=
                                       std::string::npos);
        }
        CPPUNIT_ASSERT_EQUAL(404, _daemon.get("/api/services/other").status);
        const auto ready = _daemon.get("/readyz");
        CPPUNIT_ASSERT_EQUAL(200, ready.status);
        CPPUNIT_ASSERT_MESSAGE(ready.body,
                               ready.body.find("services: 1 file can't be used, 1 in use") !=
                                   std::string::npos);
        const auto agent = _daemon.get("/api/agent").json();
        CPPUNIT_ASSERT_EQUAL(std::string("payment"),
                             std::string(agent["brokenServices"][0]["name"].GetString()));
        const auto listed =
            runProgram({STAGE_AGENT_BIN_DIR "/stagectl", "--agent", _daemon.url(), "services"},
                       _daemon.folder(), {{"STAGE_AGENT_TOKEN", _daemon.token()}});
        CPPUNIT_ASSERT_MESSAGE(listed.out + listed.err,
                               listed.out.find("payment.yaml:2: repo: unknown key") !=
                                   std::string::npos);
    }

private:
    std::string logOf(const std::string& command)
    {
        const std::string run = _daemon.submit(listOf({shell(command)}));
        _daemon.waitForRun(run, "SUCCESS");
        return _daemon.log(_daemon.stagesOf(run)[0]);
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(InheritedTest);
