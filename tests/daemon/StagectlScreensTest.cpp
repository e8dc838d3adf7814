// What stagectl shows on a terminal, whole screens at 80 and at 130 columns. Ids, times and pids are replaced by text of
// the same width.
#include "tests/support/Stagectl.h"
#include "tests/support/TerminalProgram.h"

#include <cppunit/extensions/HelperMacros.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <regex>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

using agent::test::Daemon;
using agent::test::Ended;
using agent::test::stagectl;
using agent::test::stagectlEnded;
using agent::test::terminalOf;
using agent::test::TerminalProgram;
using agent::test::waitFor;

namespace
{

using Words = std::vector<std::string>;

std::string stage(const std::string& type, const std::string& command, const std::string& more = "")
{
    return "  - { type: " + type + ", plugin: shell, with: { command: '" + command + "' }" + more +
           " }\n";
}

/// Returns the screen with what differs from one time to the next replaced.
std::string steady(std::string screen)
{
    const std::pair<std::regex, const char*> rules[]{
        {std::regex("run [0-9a-f]{2,8}"), "run II"},
        {std::regex("[0-9a-f]{8}(?![0-9a-f])"), "IIIIIIII"},
        {std::regex("[0-9]{2}:[0-9]{2}:[0-9]{2}"), "HH:MM:SS"},
        {std::regex("(^|[^0-9.])[0-9]s"), "$1Ns"},
        {std::regex("0\\.[0-9]{3}s"), "0.NNNs"}};
    for (const auto& [from, to] : rules)
        screen = std::regex_replace(screen, from, to);
    return screen;
}

/// Returns the screen with pids and the kernel's names replaced too; columns get two blanks.
std::string steadyProcesses(const std::string& screen)
{
    std::string text =
        std::regex_replace(steady(screen), std::regex("\n +[0-9]+ |\n[0-9]+ "), "\nPPP ");
    text = std::regex_replace(text, std::regex("\\[[A-Za-z_0-9.]+\\]"), "[kernel]");
    return std::regex_replace(text, std::regex("([^ \n]) {2,}"), "$1  ");
}

} // namespace

class StagectlScreensTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagectlScreensTest);
    CPPUNIT_TEST(testRuns);
    CPPUNIT_TEST(testStagesOfAFailedRun);
    CPPUNIT_TEST(testStagesThatWereSkippedAndAccepted);
    CPPUNIT_TEST(testProcesses);
    CPPUNIT_TEST(testALockIsToldWithItsFileAndHolder);
    CPPUNIT_TEST(testASocketIsToldWithItsPeer);
    CPPUNIT_TEST(testDescribeShowsCommandWorkspaceAndEnvironment);
    CPPUNIT_TEST(testHelpFitsEightyColumnsAndHasItsOwnExamples);
    CPPUNIT_TEST(testWatchShowsTheListAgain);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _daemon.set("executor.slots", "8");
        write("payment", stage("PREPARE", "echo prepared") +
                             stage("UNIT_TEST", "echo tested", ", name: Unit tests on Node 20") +
                             stage("INTEGRATION_TEST", "echo no orders >&2; exit 3") +
                             stage("DEPLOY_STAGING", "echo deployed"));
        write("shop", stage("BUILD", "exit 4") + stage("DEPLOY_PROD", "echo deployed",
                                                       ", name: Production, approval: required"));
        write("sleeper", stage("BUILD", "exec sleep 971", ", stuck_after: 1s"));
        _daemon.start();
    }

    void testRuns()
    {
        const std::string failed = ran("payment", "FAILURE", "fix/orders");
        const std::string stuck = ran("sleeper", "IN_PROGRESS", "main");
        const std::string waits = _daemon.submitService("sleeper");
        waitForStuck(stuck);
        waitFor("a second to pass",
                [&] { return screen({"runs"}, 80).find("now") == std::string::npos; });
        CPPUNIT_ASSERT_EQUAL(
            std::string(
                "RUN       STATUS           SERVICE  BRANCH      CREATED  TIME  AT\n"
                "IIIIIIII  Waiting          sleeper              Ns ago         waits for run II…\n"
                "IIIIIIII  Running (stuck)  sleeper  main        Ns ago   Ns    BUILD\n"
                "IIIIIIII  Failed           payment  fix/orders  Ns ago   Ns    "
                "INTEGRATION_TEST\n"),
            steady(screen({"runs"}, 80)));
        CPPUNIT_ASSERT_EQUAL(
            std::string("RUN       STATUS           SERVICE  BRANCH      CREATED  TIME  AT         "
                        "                                     COMMIT  MESSAGE\n"
                        "IIIIIIII  Waiting          sleeper              Ns ago         waits for "
                        "run II of its service, place 1\n"
                        "IIIIIIII  Running (stuck)  sleeper  main        Ns ago   Ns    BUILD\n"
                        "IIIIIIII  Failed           payment  fix/orders  Ns ago   Ns    "
                        "INTEGRATION_TEST\n"),
            steady(screen({"runs"}, 130)));
        CPPUNIT_ASSERT_EQUAL(failed + "\n", out({"runs", "--status", "failed", "-o", "name"}));
        CPPUNIT_ASSERT_EQUAL(stuck + "\n" + failed + "\n",
                             out({"runs", "--status", "Failed,running", "-o", "name"}));
        CPPUNIT_ASSERT_EQUAL(
            failed + "\n", out({"runs", "--branch", "fix/orders", "--since", "1h", "-o", "name"}));
        // An id that begins with a letter needs no quotes.
        const std::string yaml = out({"runs", "-o", "yaml"});
        CPPUNIT_ASSERT_MESSAGE(yaml, yaml.starts_with("- id: ") && yaml.find(waits) < 8);
        CPPUNIT_ASSERT(out({"runs"}).find("IN_PROGRESS (stuck)") != std::string::npos);
    }

    void testStagesOfAFailedRun()
    {
        ran("payment", "FAILURE", "");
        CPPUNIT_ASSERT_EQUAL(
            std::string(
                "STAGE     STATUS   TIME  TYPE              NAME                   WHY\n"
                "IIIIIIII  Success  Ns    PREPARE\n"
                "IIIIIIII  Success  Ns    UNIT_TEST         Unit tests on Node 20\n"
                "IIIIIIII  Failed   Ns    INTEGRATION_TEST                         exit code 3\n"
                "IIIIIIII  Not run        DEPLOY_STAGING\n"),
            steady(screen({"stages", "payment"}, 80)));
        CPPUNIT_ASSERT_EQUAL(
            std::string(
                "STAGE     STATUS   STARTED   TIME  TYPE              NAME                   WHY\n"
                "IIIIIIII  Success  HH:MM:SS  Ns    PREPARE\n"
                "IIIIIIII  Success  HH:MM:SS  Ns    UNIT_TEST         Unit tests on Node 20\n"
                "IIIIIIII  Failed   HH:MM:SS  Ns    INTEGRATION_TEST                         exit "
                "code 3\n"
                "IIIIIIII  Not run                  DEPLOY_STAGING\n"),
            steady(screen({"stages", "payment"}, 130)));
        CPPUNIT_ASSERT_EQUAL(std::string("no orders\n"), out({"logs", "payment"}));
        CPPUNIT_ASSERT_EQUAL(std::string("tested\n"), out({"logs", "payment/unit-test"}));
        CPPUNIT_ASSERT_EQUAL(std::string("tested\n"),
                             out({"logs", "payment/Unit tests on Node 20"}));
        const Ended none = ended(4, {"logs", "payment/BUILD"});
        CPPUNIT_ASSERT_MESSAGE(none.err,
                               none.err.find("2 INTEGRATION_TEST  FAILURE") != std::string::npos);
        CPPUNIT_ASSERT(ended(4, {"logs", "sleeper"}).err.find("has no run yet") !=
                       std::string::npos);
    }

    void testStagesThatWereSkippedAndAccepted()
    {
        const std::string run = ran("shop", "FAILURE", "");
        static_cast<void>(ended(0, {"patch", "shop", "success", "--reason", "known"}));
        _daemon.waitForRun(run, "AWAITING_APPROVAL");
        static_cast<void>(ended(0, {"skip", "shop/Production", "--reason", "not today"}));
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(
            std::string("STAGE     STATUS              TIME  TYPE         NAME        WHY\n"
                        "IIIIIIII  Success (accepted)  Ns    BUILD                    set to "
                        "success by …\n"
                        "IIIIIIII  Success (skipped)   Ns    DEPLOY_PROD  Production  skipped by "
                        "an oper…\n"),
            steady(screen({"stages", "shop"}, 80)));
        CPPUNIT_ASSERT(out({"stages", "shop"}).find("SUCCESS (skipped)") != std::string::npos);
    }

    void testProcesses()
    {
        ran("sleeper", "IN_PROGRESS", "");
        waitFor("the sleeper",
                [&] {
                    return screen({"ps", "sleeper"}, 80).find("it sleeps") != std::string::npos;
                });
        const std::string wanted = "BUILD IIIIIIII  Running  Ns\n"
                                   "PID  STATE  CPU  AGE  COMMAND\n"
                                   "PPP  S (waits)  0.NNNs  Ns  sleep 971\n"
                                   "  waits for a time (it sleeps)  [kernel]\n";
        for (const std::size_t columns : {80U, 130U})
        {
            std::string shown = steadyProcesses(screen({"ps", "sleeper"}, columns));
            // After a second it is stuck.
            shown =
                std::regex_replace(shown, std::regex(" \\(stuck\\)|  no output for [^\n]*"), "");
            CPPUNIT_ASSERT_EQUAL(wanted, shown);
        }
    }

    void testALockIsToldWithItsFileAndHolder()
    {
        const std::string file = (_daemon.folder() / "lock").string();
        const int held = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666);
        CPPUNIT_ASSERT_EQUAL(0, ::flock(held, LOCK_EX));
        write("migrate", "  - type: BUILD\n    plugin: shell\n    with: { command: 'exec flock " +
                             file + " echo --password=$HIDDEN' }\n");
        reload("migrate");
        ran("migrate", "IN_PROGRESS", "");
        const std::string words =
            "waits for a lock of " + file + ", held by " + std::to_string(::getpid()) + " (";
        waitFor("the lock to be told",
                [&] {
                    return out({"ps", "migrate"}).find(words) != std::string::npos;
                });
        const std::string shown = out({"ps", "migrate"});
        CPPUNIT_ASSERT_MESSAGE(shown, shown.find("flock " + file + " echo --password=") !=
                                          std::string::npos);
        ::close(held);
    }

    void testASocketIsToldWithItsPeer()
    {
        // A server that accepts and says nothing: ourselves.
        const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in place{};
        place.sin_family = AF_INET;
        place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof place;
        CPPUNIT_ASSERT_EQUAL(0, ::bind(server, reinterpret_cast<sockaddr*>(&place), size));
        CPPUNIT_ASSERT_EQUAL(0, ::listen(server, 1));
        ::getsockname(server, reinterpret_cast<sockaddr*>(&place), &size);
        const std::string port = std::to_string(ntohs(place.sin_port));
        const std::string peer = "127.0.0.1:" + port;
        write("fetch", "  - type: BUILD\n    plugin: shell\n    with:\n      command: exec bash -c "
                       "'read x </dev/tcp/127.0.0.1/" +
                           port + "'\n");
        reload("fetch");
        ran("fetch", "IN_PROGRESS", "");
        waitFor("the peer to be told",
                [&] {
                    return out({"ps", "fetch"}).find(peer) != std::string::npos;
                });
        ::close(server);
    }

    void testDescribeShowsCommandWorkspaceAndEnvironment()
    {
        _daemon.writeService("envs", "name: envs\nenv: { COLOUR: blue }\nstages:\n" +
                                         stage("BUILD", "echo $COLOUR; exit 2"));
        reload("envs");
        const std::string run = ran("envs", "FAILURE", "main");
        const std::string shown = out({"describe", "envs/BUILD"});
        for (const char* part :
             {"\nStatus       FAILURE\n", "\nWhy          exit code 2\n", "\nBranch       main\n",
              "\nEnvironment  COLOUR\n", "\ncommand:\n  echo $COLOUR; exit 2\n",
              "\nlast lines of its log:\n  blue\n"})
            CPPUNIT_ASSERT_MESSAGE(part + std::string(" is not in\n") + shown,
                                   shown.find(part) != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(shown, shown.find("\nWorkspace    " + _daemon.state().string()) !=
                                          std::string::npos);
        const std::string whole = out({"describe", run});
        CPPUNIT_ASSERT_MESSAGE(whole,
                               whole.starts_with("Run      " + run + "\nStatus   FAILURE\n"));
    }

    void testHelpFitsEightyColumnsAndHasItsOwnExamples()
    {
        Words verbs;
        std::istringstream lines(out({"help"}));
        bool listed = false;
        for (std::string line; std::getline(lines, line);)
        {
            listed = listed ? !line.empty() : line == "Subcommands:";
            if (listed && line.size() > 2 && line[2] != ' ' && line[0] == ' ')
                verbs.push_back(line.substr(2, line.find(' ', 2) - 2));
        }
        CPPUNIT_ASSERT(verbs.size() >= 28);
        Words pages{out({"help"}), out({"--help"})};
        for (const char* topic : {"ids", "output", "agents", "exit-codes"})
            pages.push_back(out({"help", topic}));
        for (const std::string& verb : verbs)
        {
            pages.push_back(out({"help", verb}));
            CPPUNIT_ASSERT_EQUAL(pages.back(), out({verb, "--help"}));
            std::istringstream help(pages.back());
            for (std::string line; std::getline(help, line);)
                if (const auto at = line.find("stagectl ");
                    at != std::string::npos && line.starts_with("  "))
                    CPPUNIT_ASSERT_EQUAL_MESSAGE(line, verb, line.substr(at + 9, verb.size()));
        }
        for (const std::string& page : pages)
        {
            std::istringstream text(page);
            for (std::string line; std::getline(text, line);)
                CPPUNIT_ASSERT_MESSAGE(line, line.size() <= 80);
        }
        const Ended alone = ended(2, {});
        CPPUNIT_ASSERT_MESSAGE(alone.err, alone.err.find("\n  approve ") != std::string::npos);
        CPPUNIT_ASSERT(ended(2, {"help", "nonsense"}).err.find("no verb or topic 'nonsense'") !=
                       std::string::npos);
    }

    void testWatchShowsTheListAgain()
    {
        TerminalProgram shown(stagectl({"runs", "--watch"}), terminalOf(_daemon), 24, 80);
        shown.untilShown("RUN  STATUS");
        ran("payment", "FAILURE", "");
        shown.untilShown("Failed  payment");
        shown.type("\x03");
        CPPUNIT_ASSERT_EQUAL(130, shown.end());
        static_cast<void>(ended(2, {"runs", "--watch"})); // a pipe can't be redrawn
    }

private:
    void write(const std::string& name, const std::string& stages)
    {
        _daemon.writeService(name, "name: " + name + "\nstages:\n" + stages);
    }

    void reload(const std::string& name) const
    {
        _daemon.signal(SIGHUP);
        waitFor("the service " + name,
                [&] { return _daemon.get("/api/services/" + name).status == 200; });
    }

    std::string ran(const std::string& service, const std::string& status,
                    const std::string& branch) const
    {
        Words arguments{"run", service};
        if (!branch.empty())
            arguments.insert(arguments.end(), {"--branch", branch});
        const std::string run = out(arguments).substr(0, 36);
        _daemon.waitForRun(run, status);
        return run;
    }

    void waitForStuck(const std::string& run) const
    {
        waitFor("the stage to be stuck",
                [&] { return _daemon.detail(_daemon.stagesOf(run)[0], "stuckSince") != "null"; });
    }

    /// Returns what stands on a terminal of so many columns; nothing may have been wrapped.
    [[nodiscard]] std::string screen(const Words& arguments, std::size_t columns) const
    {
        TerminalProgram shown(stagectl(arguments), terminalOf(_daemon), 50, columns);
        CPPUNIT_ASSERT_EQUAL(0, shown.end());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(shown.screen.text(), std::size_t{0}, shown.screen.wrapped());
        std::string text = shown.screen.text();
        while (!text.empty() && text.back() == '\n')
            text.pop_back();
        return text.substr(text.find_first_not_of('\n')) + "\n";
    }

    [[nodiscard]] Ended ended(int exitCode, const Words& arguments) const
    {
        return stagectlEnded(_daemon, exitCode, arguments);
    }
    [[nodiscard]] std::string out(const Words& arguments) const { return ended(0, arguments).out; }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlScreensTest);
