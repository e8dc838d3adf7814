// stagectl with several agents: two daemons, an address without a listener, and a server that accepts
// connections but never answers.
#include "tests/support/Program.h"
#include "tests/support/Stages.h"

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>

#include <cppunit/extensions/HelperMacros.h>

using agent::test::Daemon;
using agent::test::Ended;
using agent::test::listOf;
using agent::test::runProgram;
using agent::test::shell;
using agent::test::waitFor;

namespace
{

const std::string nobody = "http://127.0.0.1:1";
const std::string unknown = "00000000-0000-4000-8000-000000000000";

using Words = std::vector<std::string>;

bool has(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

void assertHas(const std::string& text, const std::string& part)
{
    CPPUNIT_ASSERT_MESSAGE("'" + part + "' is not in:\n" + text, has(text, part));
}

void assertLacks(const std::string& text, const std::string& part)
{
    CPPUNIT_ASSERT_MESSAGE("'" + part + "' is in:\n" + text, !has(text, part));
}

/// Returns an agent's name in tables.
std::string hostOf(const std::string& url)
{
    return url.substr(url.find("//") + 2);
}

/// Accepts connections (in the kernel's backlog) and never answers.
class SilentPeer
{
public:
    [[nodiscard]] std::string url() const { return "http://" + _socket.address().toString(); }

private:
    Poco::Net::ServerSocket _socket{Poco::Net::SocketAddress("127.0.0.1", 0)};
};

} // namespace

class StagectlAgentsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagectlAgentsTest);
    CPPUNIT_TEST(testRunsAreOneTableNewestFirst);
    CPPUNIT_TEST(testRunsOfAServiceThatSomeAgentsLack);
    CPPUNIT_TEST(testTablesNameTheHost);
    CPPUNIT_TEST(testASingleAgentHasNoHostColumn);
    CPPUNIT_TEST(testJsonIsOneListThatNamesTheAgents);
    CPPUNIT_TEST(testStuckStagesNameTheHost);
    CPPUNIT_TEST(testADeadAgentIsReportedAndTheOthersAreShown);
    CPPUNIT_TEST(testAnAgentThatNeverAnswersDoesNotHideOthers);
    CPPUNIT_TEST(testHealthExitsWithTheWorstCode);
    CPPUNIT_TEST(testAnIdIsFoundOnTheAgentThatHasIt);
    CPPUNIT_TEST(testAnIdThatTwoAgentsHaveIsRefused);
    CPPUNIT_TEST(testAnIdThatASilentAgentMayHaveIsNotReportedUnknown);
    CPPUNIT_TEST(testAChangeByPrefixNeedsEveryAgent);
    CPPUNIT_TEST(testRunGoesToTheOneAgentThatHasTheService);
    CPPUNIT_TEST(testDrainTakesOnlyAgentsNamedOnTheCommandLine);
    CPPUNIT_TEST(testAgentsComeFromTheEnvironmentOrTheFile);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        service(_one, "both");
        service(_two, "both");
        service(_one, "first");
        service(_two, "second");
        // One token for all, as a fleet has it: a credential of each agent's unit.
        std::filesystem::permissions(_files.write("credentials/tokens_admin.fleet", _fleetToken),
                                     std::filesystem::perms::owner_read);
        for (Daemon* daemon : {&_one, &_two})
            daemon->setEnvironment("CREDENTIALS_DIRECTORY", _files.path() / "credentials");
        _one.start();
        _two.start();
    }

    void testRunsAreOneTableNewestFirst()
    {
        const std::string oldest = ended(_one);
        const std::string middle = ended(_two);
        const std::string newest = ended(_one);
        const std::string all = done({"runs"}).out;
        assertHas(all, "HOST ");
        CPPUNIT_ASSERT_MESSAGE(all, all.find(newest) < all.find(middle));
        CPPUNIT_ASSERT_MESSAGE(all, all.find(middle) < all.find(oldest));
        assertHas(all, hostOf(_two.url()) + "  " + middle);
        assertHas(all, hostOf(_one.url()) + "  " + oldest);
        const std::string some = done({"runs", "--limit", "2"}).out;
        assertHas(some, middle);
        assertLacks(some, oldest);
    }

    void testRunsOfAServiceThatSomeAgentsLack()
    {
        const std::string run = ended(_two, "second");
        ended(_one, "first");
        const std::string shown = done({"runs", "--service", "second"}).out;
        assertHas(shown, run + "  SUCCESS  second");
        assertLacks(shown, "first");
        const std::string none = refused(4, {"runs", "--service", "third"}).err;
        for (const auto& [daemon, has] : {std::pair(&_one, "both, first"), {&_two, "both, second"}})
            assertHas(none,
                      hostOf(daemon->url()) + ": no service is named 'third'; there are: " + has);
        assertHas(exits(6, withDead({"runs", "--service", "third"})).err, nobody);
    }

    void testTablesNameTheHost()
    {
        const std::string one = hostOf(_one.url());
        const std::string two = hostOf(_two.url());
        const std::string services = done({"services"}).out;
        assertHas(services, one + "  first ");
        assertHas(services, two + "  second ");
        for (const char* verb : {"services", "plugins", "agent", "health"})
        {
            const std::string table = done({verb}).out;
            CPPUNIT_ASSERT_MESSAGE(table, table.starts_with("HOST "));
            assertHas(table, "\n" + one + "  ");
            assertHas(table, "\n" + two + "  ");
        }
        // The host alone is enough here.
        const std::string local = "http://localhost" + two.substr(two.find(':'));
        const std::string table = exits(0, {"--agent", _one.url(), "--agent", local, "agent"}).out;
        assertHas(table, "\n127.0.0.1  ");
        assertHas(table, "\nlocalhost  ");
    }

    void testASingleAgentHasNoHostColumn()
    {
        ended(_one);
        for (const char* verb : {"runs", "services", "plugins", "stuck"})
        {
            const std::string alone = exits(0, {"--agent", _one.url(), verb}).out;
            assertLacks(alone, "HOST");
            CPPUNIT_ASSERT_EQUAL(
                alone, exits(0, {"--agent", _one.url(), "--agent", _one.url() + "/", verb}).out);
        }
        for (const char* verb : {"runs", "services", "stuck"})
            CPPUNIT_ASSERT_EQUAL(_one.get(std::string("/api/") + verb).body + "\n",
                                 exits(0, {"--agent", _one.url(), "--json", verb}).out);
    }

    void testJsonIsOneListThatNamesTheAgents()
    {
        const std::string older = ended(_one);
        const std::string newer = ended(_two);
        const auto inner = [](const std::string& list) { return list.substr(2, list.size() - 3); };
        CPPUNIT_ASSERT_EQUAL("[" + named(_two) + "," + inner(_two.get("/api/runs").body) + "," +
                                 named(_one) + "," + inner(_one.get("/api/runs").body) + "]\n",
                             done({"runs", "--json"}).out);
        const std::string agents = done({"agent", "--json"}).out;
        assertHas(agents, "[" + named(_one) + R"(,"version":)");
        assertHas(agents, "}," + named(_two) + R"(,"version":)");
        CPPUNIT_ASSERT_EQUAL(std::string("[]\n"), done({"stuck", "--json"}).out);
        CPPUNIT_ASSERT_EQUAL("[" + named(_one) + "}," + named(_two) + "}]\n",
                             done({"resume", "--json"}).out);
        const std::string health = done({"health", "--json"}).out;
        assertHas(health, named(_two) + ",\"ready\":true,\"text\":\"store: ok");
        // A single run is shown as by its agent.
        CPPUNIT_ASSERT_EQUAL(_two.get("/api/stages?runId=" + newer).body + "\n",
                             done({"stages", newer, "--json"}).out);
        const Ended partial = exits(6, withDead({"services", "--json"}));
        rapidjson::Document services;
        services.Parse(partial.out);
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType{2}, services.Size());
        for (const auto& service : services.GetArray())
            CPPUNIT_ASSERT_EQUAL(_one.url(), std::string(service["agent"].GetString()));
    }

    void testStuckStagesNameTheHost()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("no stage is stuck\n"), done({"stuck"}).out);
        CPPUNIT_ASSERT_EQUAL(0, _two.stop());
        _two.set("stage.stuck_after", "1s");
        _two.start();
        const auto run = _two.submit(listOf({shell("sleep 973")}));
        const auto stage = _two.stagesOf(run)[0];
        waitFor("the stage to be reported as stuck",
                [&] { return _two.detail(stage, "stuckSince") != "null"; });
        assertHas(done({"stuck"}).out, hostOf(_two.url()) + "  " + stage + "  ");
    }

    void testADeadAgentIsReportedAndTheOthersAreShown()
    {
        const std::string run = ended(_one);
        const Ended some = exits(6, withDead({"runs"}));
        assertHas(some.out, run);
        assertHas(some.err, "stagectl: no answer from " + nobody);
        const Ended none = exits(6, {"--agent", nobody, "--agent", "http://127.0.0.1:2", "runs"});
        CPPUNIT_ASSERT_EQUAL(std::string(), none.out);
        assertHas(none.err, nobody);
        assertHas(none.err, "http://127.0.0.1:2");
    }

    void testAnAgentThatNeverAnswersDoesNotHideOthers()
    {
        const SilentPeer silent;
        const std::string run = ended(_two);
        const Ended ended = exits(6, {"--agent", silent.url(), "--agent", _two.url(), "runs"});
        assertHas(ended.out, run);
        assertHas(ended.err, "no answer from " + silent.url() + ": timed out");
    }

    void testHealthExitsWithTheWorstCode()
    {
        exits(0, {"--agent", _two.url(), "drain"});
        const std::string table = exits(7, both({"health"})).out;
        assertHas(table, hostOf(_one.url()) + "  yes    store: ok; ");
        assertHas(table, hostOf(_two.url()) + "  no     store: ok; ");
        exits(6, withDead({"health"}));
        exits(7, {"--agent", _two.url(), "--agent", nobody, "health"});
    }

    void testAnIdIsFoundOnTheAgentThatHasIt()
    {
        const std::string run = ended(_two);
        const std::string stage = _two.stagesOf(run)[0];
        for (const std::string& name : {run, run.substr(0, 13)})
        {
            assertHas(done({"stages", name}).out, stage);
            assertHas(done({"history", name}).out, stage);
        }
        for (const std::string& name : {stage, stage.substr(0, 13)})
        {
            CPPUNIT_ASSERT_EQUAL(std::string("said\n"), done({"logs", name}).out);
            CPPUNIT_ASSERT_EQUAL(std::string("said\n"), done({"logs", "-f", name}).out);
            assertHas(done({"stage", name}).out, stage);
        }
        const std::string again = done({"rerun", run.substr(0, 13)}).out.substr(0, 36);
        _two.waitForRun(again, "SUCCESS");
        assertHas(done({"delete", run, "--yes"}).out, "deleted");
        CPPUNIT_ASSERT_EQUAL(404, _two.get("/api/runs/" + run).status);
        assertHas(refused(4, {"stages", unknown}).err, unknown);
        refused(4, {"logs", unknown.substr(0, 12)});
    }

    void testAnIdThatTwoAgentsHaveIsRefused()
    {
        const std::string run = ended(_one);
        CPPUNIT_ASSERT_EQUAL(0, _one.stop());
        CPPUNIT_ASSERT_EQUAL(0, _two.stop());
        std::filesystem::remove_all(_two.state());
        std::filesystem::copy(_one.state(), _two.state(), std::filesystem::copy_options::recursive);
        _one.start();
        _two.start();
        for (const std::string& name : {run, run.substr(0, 13)})
        {
            const std::string message = refused(2, {"stages", name}).err;
            assertHas(message, hostOf(_one.url()) + "  run " + run);
            assertHas(message, hostOf(_two.url()) + "  run " + run);
            refused(2, {"delete", name, "--yes"});
        }
        exits(0, {"--agent", _two.url(), "delete", run, "--yes"});
        assertHas(done({"stages", run}).out, "SUCCESS");
    }

    void testAnIdThatASilentAgentMayHaveIsNotReportedUnknown()
    {
        for (const std::string& name : {unknown, unknown.substr(0, 13)})
            for (const Words& verb : {Words{"stages"}, {"stop"}, {"logs"}, {"history"}})
            {
                const Ended ended = exits(6, withDead({verb[0], name}));
                assertHas(ended.err, "on the agents that answered");
                assertHas(ended.err, nobody);
            }
    }

    /// An agent that does not answer may have another run with this prefix: only a full id is safe.
    void testAChangeByPrefixNeedsEveryAgent()
    {
        const std::string run = _one.submit(listOf({shell("sleep 974")}));
        _one.waitForRun(run, "IN_PROGRESS");
        const std::string stage = _one.stagesOf(run)[0];
        const std::string begins = run.substr(0, 13);
        const Ended looked = exits(0, withDead({"stages", begins}));
        assertHas(looked.out, stage);
        assertHas(looked.err, nobody);
        for (const Words& change : {Words{"stop", begins},
                                    {"delete", begins, "--yes"},
                                    {"rerun", begins},
                                    {"approve", begins},
                                    {"reject", begins, "--reason", "x"},
                                    {"patch", stage.substr(0, 13), "failure", "--reason", "x"},
                                    {"retry", stage.substr(0, 13), "--reason", "x"},
                                    {"skip", stage.substr(0, 13), "--reason", "x"}})
        {
            const Ended ended = exits(6, withDead(change));
            CPPUNIT_ASSERT_EQUAL(std::string(), ended.out);
            assertHas(ended.err, "give the full id");
            assertHas(ended.err, nobody);
        }
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _one.statusOf(run));
        assertHas(exits(0, withDead({"stop", run})).out, "stopped 1 stage");
    }

    void testRunGoesToTheOneAgentThatHasTheService()
    {
        const std::string run = done({"run", "second"}).out.substr(0, 36);
        _two.waitForRun(run, "SUCCESS");
        assertHas(done({"run", "first", "--follow"}).out, "run SUCCESS");
        const std::string message = refused(2, {"run", "both"}).err;
        assertHas(message, _one.url());
        assertHas(message, _two.url());
        assertHas(refused(4, {"run", "third"}).err, "third");
        assertHas(exits(6, withDead({"run", "first"})).err, nobody);
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType{1}, _one.get("/api/runs").json().Size());
    }

    void testDrainTakesOnlyAgentsNamedOnTheCommandLine()
    {
        const std::string urls = _one.url() + " " + _two.url();
        const Ended unnamed = plain({"drain"}, {{"STAGE_AGENT_URL", urls}});
        CPPUNIT_ASSERT_EQUAL(2, unnamed.exitCode);
        assertHas(unnamed.err, "--agent " + _two.url());
        done({"health"});
        const std::string lines = done({"drain"}).out;
        assertHas(lines, hostOf(_one.url()) + ": draining");
        assertHas(lines, "\n" + hostOf(_two.url()) + ": draining");
        exits(7, {"--agent", _one.url(), "health"});
        exits(7, {"--agent", _two.url(), "health"});
        const Ended partly = exits(6, withDead({"resume"}));
        assertHas(partly.out, hostOf(_one.url()) + ": accepting new runs again");
        exits(0, {"--agent", _one.url(), "health"});
    }

    void testAgentsComeFromTheEnvironmentOrTheFile()
    {
        const std::string urls = _one.url() + "  " + _two.url();
        assertHas(plain({"services"}, {{"STAGE_AGENT_URL", urls}}).out,
                  hostOf(_two.url()) + "  second ");
        std::filesystem::create_directory(_one.folder() / ".config");
        std::ofstream(_one.folder() / ".config/stagectl")
            << "agent = " << _one.url() << "\n# the other\nagent = " << _two.url() << "\n";
        assertHas(plain({"services"}, {}).out, hostOf(_one.url()) + "  first ");
        assertLacks(plain({"services"}, {{"STAGE_AGENT_URL", _two.url()}}).out, "first");
    }

private:
    static void service(Daemon& daemon, const std::string& name)
    {
        daemon.writeService(name, "name: " + name +
                                      "\nstages:\n  - { type: BUILD, plugin: shell, with: { "
                                      "command: echo said } }\n");
    }

    static std::string ended(const Daemon& daemon, const std::string& service = "both")
    {
        std::string run = daemon.submitService(service);
        daemon.waitForRun(run, "SUCCESS");
        return run;
    }

    /// Returns how an object of the agent begins in --json.
    static std::string named(const Daemon& daemon) { return R"({"agent":")" + daemon.url() + "\""; }

    Ended plain(const Words& arguments, std::map<std::string, std::string> environment) const
    {
        Words all{STAGE_AGENT_BIN_DIR "/stagectl"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        environment["HOME"] = _one.folder().string();
        environment["STAGE_AGENT_TOKEN"] = _fleetToken;
        return runProgram(all, _one.folder(), environment);
    }

    Ended exits(int exitCode, const Words& arguments) const
    {
        Ended ended = plain(arguments, {});
        std::string line;
        for (const auto& argument : arguments)
            line += argument + " ";
        CPPUNIT_ASSERT_EQUAL_MESSAGE(line + ": " + ended.out + ended.err, exitCode, ended.exitCode);
        return ended;
    }

    static Words between(const std::string& first, const std::string& second, const Words& verb)
    {
        Words all{"--agent", first, "--agent", second};
        all.insert(all.end(), verb.begin(), verb.end());
        return all;
    }

    Words both(const Words& verb) const { return between(_one.url(), _two.url(), verb); }
    Words withDead(const Words& verb) const { return between(nobody, _one.url(), verb); }

    Ended done(const Words& verb) const { return exits(0, both(verb)); }

    Ended refused(int exitCode, const Words& verb) const
    {
        Ended ended = exits(exitCode, both(verb));
        CPPUNIT_ASSERT_EQUAL(std::string(), ended.out);
        return ended;
    }

    const std::string _fleetToken = std::string(40, 'f');
    agent::FilesFolder _files;
    Daemon _one;
    Daemon _two;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlAgentsTest);
