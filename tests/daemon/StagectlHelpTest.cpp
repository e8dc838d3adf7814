// The man pages and the shell's completion cover all verbs and options of stagectl.
#include "tests/support/Program.h"
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <set>
#include <sstream>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::Ended;
using agent::test::listOf;
using agent::test::runProgram;
using agent::test::shell;

class StagectlHelpTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagectlHelpTest);
    CPPUNIT_TEST(testTheManPageHasEveryVerbAndOption);
    CPPUNIT_TEST(testTheAgentsManPageHasEveryOption);
    CPPUNIT_TEST(testCompletesVerbsAndOptions);
    CPPUNIT_TEST(testCompletesNamesAndIdsOfTheAgent);
    CPPUNIT_TEST(testCompletesTheStagesOfAService);
    CPPUNIT_TEST(testCompletesNothingWithoutAnAgent);
    CPPUNIT_TEST(testExamplesFitTheExampleService);
    CPPUNIT_TEST(testAnUnreadyAgentIsDescribedAlikeEverywhere);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTheManPageHasEveryVerbAndOption()
    {
        const std::string page = contentOf(STAGE_AGENT_SOURCE_DIR "/docs/man/stagectl.1");
        const std::string help = printed({"--help"});
        const auto verbs = verbsIn(help);
        CPPUNIT_ASSERT(verbs.size() >= 21);
        for (const auto& option : optionsIn(help))
            assertNames(page, option);
        for (const auto& verb : verbs)
        {
            const bool there = page.find("\n\\fB" + verb + "\\fR ") != std::string::npos ||
                               page.find("\n.B " + verb + "\n") != std::string::npos;
            CPPUNIT_ASSERT_MESSAGE(verb, there);
            for (const auto& option : optionsIn(printed({verb, "--help"})))
                assertNames(page, option);
        }
    }

    void testTheAgentsManPageHasEveryOption()
    {
        const std::string page = contentOf(STAGE_AGENT_SOURCE_DIR "/docs/man/stage-agent.8");
        std::istringstream help(
            runProgram({STAGE_AGENT_BIN_DIR "/stage-agent", "--help"}, _daemon.folder()).out);
        int options = 0;
        for (std::string line; std::getline(help, line);)
            if (const auto at = line.find("--"); line.starts_with("-") && at != std::string::npos)
            {
                assertNames(page, line.substr(at, line.find_first_of("= ", at) - at));
                ++options;
            }
        CPPUNIT_ASSERT(options >= 5);
    }

    void testCompletesVerbsAndOptions()
    {
        CPPUNIT_ASSERT(completed("stagectl ") == verbsIn(printed({"--help"})));
        assertCompletes("re", {"rerun", "resume", "retry", "reject"});
        assertCompletes("--j", {"--json"});
        assertCompletes("logs --t", {"--tail", "--timestamps"});
        assertCompletes("--json logs 3f2a9c --s", {"--since"});
        assertCompletes("patch 3f2a9c ", {"waiting", "running", "success", "failed"});
        assertCompletes("patch --reason why 3f2a9c su", {"success"});
        assertCompletes("runs --status n", {"needs-approval"});
        assertCompletes("runs --status=ne", {"needs-approval"});
        assertCompletes("runs --status failed,r", {"failed,running"});
        assertCompletes("runs --status aw", {"awaiting_approval"});
        assertCompletes("runs --status=",
                        {"waiting", "running", "needs-approval", "success", "failed"});
        assertCompletes("runs --limit=", {});
        assertCompletes("patch 3f2a9c SU", {"success"});
        assertCompletes("exec -c /dev/null payment UN", {"UNIT_TEST"});
        assertCompletes("exec -D a=b payment BUILD --k", {"--keep"});
        assertCompletes("drain ", {});
        assertCompletes("token ", {"create", "list", "revoke"});
        assertCompletes("token re", {"revoke"});
        assertCompletes("token create bot --ro", {"--role"});
        assertCompletes("token create bot --role o", {"operate"});
        assertCompletes("doctor --d", {"--define"});
        assertCompletes("logs 3f2a9c --tail ", {});
        assertCompletes("nonsense ", {});
    }

    void testCompletesNamesAndIdsOfTheAgent()
    {
        _daemon.writeService("payment", "name: payment\nstages:\n  - { type: BUILD, plugin: shell, "
                                        "with: { command: 'true' } }\n");
        _daemon.start();
        const auto run = _daemon.submit(listOf({shell("true"), shell("true")}));
        _daemon.waitForRun(run, "SUCCESS");
        const auto stages = _daemon.stagesOf(run);
        const std::string agent = "--agent " + _daemon.url() + " ";
        assertCompletes(agent + "run pay", {"payment"});
        assertCompletes(agent + "runs --service ", {"payment"});
        assertCompletes(agent + "stages ", {run, "payment"});
        const std::string equals = "--agent=" + _daemon.url() + " ";
        assertCompletes("--agent http://127.0.0.1:1 " + equals + "stages ", {run, "payment"});
        assertCompletes(equals + "runs --service=pay", {"payment"});
        assertCompletes(agent + "stop " + run.substr(0, 4), {run});
        assertCompletes(agent + "logs ", {stages[0], stages[1], "payment"});
        assertCompletes(agent + "logs " + run + "/bu", {run + "/BUILD"});
        assertCompletes("runs -o ", {"wide", "name", "json", "yaml"});
        assertCompletes("help exit", {"exit-codes"});
        assertCompletes(agent + "logs -f --since 10m " + stages[1].substr(0, 30), {stages[1]});
        assertCompletes(agent + "history ", {run, stages[0], stages[1], "payment"});
        const std::string several = "--agent http://127.0.0.1:1 " + agent;
        assertCompletes(several + "run pay", {"payment"});
        assertCompletes(several + "history ", {run, stages[0], stages[1], "payment"});
    }

    void testCompletesTheStagesOfAService()
    {
        const auto stage = [](const std::string& type)
        { return "\n  - { type: " + type + ", plugin: shell, with: { command: 'true' } }"; };
        _daemon.writeService(
            "payment", "name: payment\nrepository: 'ssh://[2001:db8:0:0:0:0:0:1]/x'\nstages:" +
                           stage("UNIT_TEST") + stage("DEPLOY_PROD"));
        _daemon.writeService("pay", "name: pay\nstages:" + stage("BUILD"));
        _daemon.start();
        const std::string agent = "--agent " + _daemon.url() + " exec ";
        assertCompletes(agent + "payment ", {"UNIT_TEST", "DEPLOY_PROD"});
        assertCompletes(agent + "payment u", {"UNIT_TEST"});
        assertCompletes(agent + "pay ", {"BUILD"});
        const auto services = _daemon.get("/api/services").json();
        for (const auto& service : services.GetArray())
            if (std::string(service["name"].GetString()) == "pay")
                assertCompletes(agent + service["id"].GetString() + " ", {"BUILD"});
        assertCompletes("--agent http://127.0.0.1:1 " + agent + "payment d", {"DEPLOY_PROD"});
        assertCompletes(agent + "unknown P", {"PREPARE"});
    }

    void testCompletesNothingWithoutAnAgent()
    {
        assertCompletes("--agent http://127.0.0.1:1 stages ", {});
        assertCompletes("--agent http://127.0.0.1:1 re", {"rerun", "resume", "retry", "reject"});
    }

    void testExamplesFitTheExampleService()
    {
        const std::string example =
            contentOf(STAGE_AGENT_SOURCE_DIR "/conf/services.d/full.yaml.example");
        const std::string call = "stagectl exec payment ";
        for (const std::string& text :
             {printed({"--help"}), contentOf(STAGE_AGENT_SOURCE_DIR "/README.md"),
              contentOf(STAGE_AGENT_SOURCE_DIR "/docs/man/stagectl.1"),
              contentOf(STAGE_AGENT_SOURCE_DIR "/docs/operating.md")})
        {
            std::size_t at = text.find(call);
            CPPUNIT_ASSERT(at != std::string::npos);
            for (; at != std::string::npos; at = text.find(call, at))
            {
                at += call.size();
                const std::string type = text.substr(at, text.find_first_of(" \n", at) - at);
                CPPUNIT_ASSERT_MESSAGE(type, example.find("\n  - type: " + type + "\n") !=
                                                 std::string::npos);
            }
        }
    }

    void testAnUnreadyAgentIsDescribedAlikeEverywhere()
    {
        for (const std::string& text :
             {printed({"help", "exit-codes"}), contentOf(STAGE_AGENT_SOURCE_DIR "/README.md"),
              contentOf(STAGE_AGENT_SOURCE_DIR "/docs/man/stagectl.1")})
        {
            std::string words;
            for (const char c : text)
                if (c != '\\')
                    words += c == '\n' ? ' ' : c;
            CPPUNIT_ASSERT_MESSAGE(
                text, words.find("he agent failed (5xx), is not ready, or is not a stage-agent") !=
                          std::string::npos);
        }
    }

private:
    using Words = std::set<std::string>;

    [[nodiscard]] std::string printed(const std::vector<std::string>& arguments) const
    {
        std::vector<std::string> line{STAGE_AGENT_BIN_DIR "/stagectl"};
        line.insert(line.end(), arguments.begin(), arguments.end());
        const Ended ended = runProgram(line, _daemon.folder());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
        return ended.out;
    }

    static Words verbsIn(const std::string& help)
    {
        Words verbs;
        std::istringstream lines(help.substr(help.find("Subcommands:\n") + 13));
        for (std::string line; std::getline(lines, line) && !line.empty();)
            if (line[2] != ' ') // else it goes on with a description
                verbs.insert(line.substr(2, line.find(' ', 2) - 2));
        return verbs;
    }

    static Words optionsIn(const std::string& help)
    {
        Words options;
        std::istringstream lines(help.substr(help.find("Options:\n") + 9));
        for (std::string line; std::getline(lines, line) && !line.empty();)
            if (const auto at = line.find("--"); line.starts_with("  -") && at != std::string::npos)
                options.insert(line.substr(at, line.find_first_of(" =", at) - at));
        CPPUNIT_ASSERT_MESSAGE(help, options.contains("--help"));
        return options;
    }

    /// roff writes a hyphen that can be typed as `\-`.
    static void assertNames(const std::string& page, const std::string& option)
    {
        std::string written;
        for (const char c : option)
            written += c == '-' ? std::string("\\-") : std::string(1, c);
        CPPUNIT_ASSERT_MESSAGE(option, page.find(written) != std::string::npos);
    }

    /// Returns bash's completions at the end of `line`.
    Words completed(const std::string& line) const
    {
        const std::string script = R"(PATH=$1:$PATH
            . "$2"
            COMP_LINE=$3 COMP_POINT=${#3}
            read -ra COMP_WORDS <<<"$3"
            _stagectl
            printf '%s\n' "${COMPREPLY[@]}")";
        const Ended ended =
            runProgram({"/bin/bash", "-c", script, "bash", STAGE_AGENT_BIN_DIR,
                        STAGE_AGENT_SOURCE_DIR "/conf/bash-completion/stagectl", line},
                       _daemon.folder());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(line, std::string(), ended.err);
        Words words;
        std::istringstream lines(ended.out);
        for (std::string word; lines >> word;)
            words.insert(word);
        return words;
    }

    void assertCompletes(const std::string& line, const Words& wanted) const
    {
        std::string found;
        const auto words = completed("stagectl " + line);
        for (const auto& word : words)
            found += word + " ";
        CPPUNIT_ASSERT_MESSAGE(line + ": " + found, words == wanted);
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlHelpTest);
