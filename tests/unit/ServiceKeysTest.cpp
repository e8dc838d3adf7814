// What a service's own keys may be, and which of them a request's pipeline may have.
#include "tests/support/ServiceFiles.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

using test::all;
using test::inlined;

class ServiceKeysTest: public CppUnit::TestFixture, private test::ServiceFiles
{
    CPPUNIT_TEST_SUITE(ServiceKeysTest);
    CPPUNIT_TEST(testTellsWrongServices);
    CPPUNIT_TEST(testTellsWrongIsolation);
    CPPUNIT_TEST(testRefusesWhatNoProgramGets);
    CPPUNIT_TEST(testInlinePipelineMayNotNameSecrets);
    CPPUNIT_TEST(testAServicesFileIsAnInlinePipeline);
    CPPUNIT_TEST(testInlineProblemsHaveNoFile);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTellsWrongServices()
    {
        const std::string rest = "stages: [{type: OTHER, plugin: p}]\n";
        const std::string name = "name: a\n";
        check(rest, ":1: name: is missing");
        check("name: -a\n" + rest, ":1: name: must be 1 to 64 letters");
        check("name: " + std::string(65, 'a') + "\n" + rest, ":1: name: must be 1 to 64 letters");
        check("name: 6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10\n" + rest,
              ":1: name: must not be a UUID");
        check("name: [a]\n" + rest, ":1: name: expected text, found a list");
        check("name:\n" + rest, ":1: name: expected text, found nothing");
        check(name + rest + "id: 12\n",
              ":3: id: expected a UUID of version 4 in lower case, found the number 12");
        check(name + rest + "id: 6F1B3C52-8f0e-4c5a-9a37-2f4f0f1d9b10\n", ":3: id: expected");
        check(name + rest + "concurrency: 0\n",
              ":3: concurrency: expected a whole number from 1 to 10000, found the number 0");
        check(name + rest + "concurrency: '2'\n", "found the text '2'");
        check(name + rest + "concurrency: 1.5\n", "found the number 1.5");
        check(name + rest + "concurency: 1\n",
              ":3: concurency: unknown key, did you mean 'concurrency'?");
        check(name + rest + "name: b\n", ":3: name: this key is here twice");
        check(name + rest + "env: [A]\n", ":3: env: expected a map, found a list");
        check(name + rest + "env:\n  A: 1\n  1A: x\n", ":5: env.1A: must be letters");
        check(name + rest + "env: {A: [1]}\n", ":3: env.A: expected text, found a list");
        check(name + rest + "env: {A: }\n", ":3: env.A: expected text ('' is an empty one)");
        for (const char* own : {"STAGE_ID", "STAGE_X", "RUN_ID", "PLUGIN_A", "OUTPUT_B", "CI",
                                "WORKSPACE", "SERVICE_NAME", "COMMIT_HASH", "BRANCH"})
        {
            check(name + rest + "env: {" + own + ": x}\n",
                  ":3: env." + std::string(own) + ": is set by the agent itself");
            check(name + rest + "secrets: [" + own + "]\n",
                  ":3: secrets[0]: is set by the agent itself");
        }
        check(name + rest + "secrets: A\n", ":3: secrets: expected a list, found the text 'A'");
        check(name + rest + "secrets: [../a]\n", ":3: secrets[0]: must be letters");
        check(name + rest + "secrets: [A,\n  A]\n", ":4: secrets[1]: is here twice");
        check(name + rest + "secrets: [A]\nenv: {A: x}\n", ":3: secrets[0]: is in env too");
        check(name + rest + "repository: ext::sh -c x\n", ":3: repository: must not hold blanks");
        check(name + rest + "repository: ''\n", ":3: repository: must not be empty");
        check(name + rest + "branch: a..b\n", ":3: branch: must not hold '..'");
        check(name, ":1: stages: is missing");
        check(name + "stages: []\n", ":2: stages: must hold 1 to 100 stages, holds 0");
        check(name + "stages: {}\n", ":2: stages: expected a list, found a map");
        std::string many = name + "stages:\n";
        for (int i = 0; i < 101; ++i)
            many += "- {type: OTHER, plugin: p}\n";
        check(many, ":2: stages: must hold 1 to 100 stages, holds 101");
        check("- a\n", ":1: expected a map, found a list");
        check("text\n", ":1: expected a map, found the text 'text'");
        check("name: a\nstages: [\n", "malformed YAML: ");
    }

    void testTellsWrongIsolation()
    {
        const std::string rest = "name: a\nstages: [{type: OTHER, plugin: p}]\n";
        check(rest + "isolation: sandbx\n",
              ":3: isolation: expected one of sandbox, none, found the text 'sandbx', did you mean "
              "'sandbox'?");
        check(rest + "isolation: [none]\n", ":3: isolation: expected text, found a list");
        check(rest + "network: hots\n",
              ":3: network: expected one of host, none, found the text 'hots', did you mean "
              "'host'?");
        check(rest + "binds: /a\n", ":3: binds: expected a list, found the text '/a'");
        for (const char* wrong : {"a", "/", "/a/../b", "/a/"})
            check(rest + "binds:\n- /ok\n- " + wrong + "\n",
                  ":5: binds[1]: expected an absolute path such as /dev/kvm");
    }

    /// Symptom: a command of 140,000 bytes was accepted, and failed hours later with `Argument list too long`.
    /// Cause: execve(2) takes no string of 128 KiB. Bound: what fits is taken.
    void testRefusesWhatNoProgramGets()
    {
        const auto with = [this](const std::string& keys)
        { return all(service("name: a\n" + keys + "\n").problems); };
        const std::string most(130'000, 'x');
        const std::string more(131'500, 'x');
        const std::string stage = "stages: [{type: OTHER, plugin: p, with: {command: ";
        CPPUNIT_ASSERT_EQUAL(std::string(), with(stage + most + "}}]"));
        CPPUNIT_ASSERT(
            with(stage + more + "}}]").find("stages[0].with.command: must not be longer than") !=
            std::string::npos);
        CPPUNIT_ASSERT(with("env: {LONG: " + more + "}\nstages: [{type: OTHER, plugin: p}]")
                           .find("env.LONG: must not be longer than") != std::string::npos);
        std::string env = "env:\n";
        for (int i = 0; i < 9; ++i)
            env += "  V" + std::to_string(i) + ": " + most + "\n";
        const std::string sum = with(env + "stages: [{type: OTHER, plugin: p}]");
        CPPUNIT_ASSERT_MESSAGE(sum,
                               sum.find("stages[0]: env and with together") != std::string::npos ||
                                   sum.find("longer than") != std::string::npos);
    }

    void testInlinePipelineMayNotNameSecrets()
    {
        for (const char* secrets : {"[\"A\"]", "[]", "\"x\""})
        {
            const auto parsed =
                inlined(std::string(R"({"stages":[{"type":"BUILD","plugin":"p"}],"secrets":)") +
                        secrets + "}");
            CPPUNIT_ASSERT_EQUAL(std::string("line 1: secrets: an inline pipeline may not name "
                                             "secrets\n"),
                                 all(parsed.problems));
            CPPUNIT_ASSERT(parsed.spec.secrets.empty());
        }
    }

    void testAServicesFileIsAnInlinePipeline()
    {
        const std::string stages = "stages: [{type: BUILD, plugin: p}]\n";
        const std::string whole = "id: 6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10\nname: payment\n"
                                  "concurrency: 2\n";
        const auto parsed = inlined(whole + stages);
        CPPUNIT_ASSERT_EQUAL(std::string(), all(parsed.problems));
        CPPUNIT_ASSERT(parsed.spec == inlined(stages).spec);
        for (const auto& [wrong, told] : std::map<std::string, std::string>{
                 {"id: 1\n", "line 1: id: expected a UUID of version 4"},
                 {"name: a b\n", "line 1: name: "},
                 {"concurrency: 0\n", "line 1: concurrency: expected a whole number from 1"}})
            CPPUNIT_ASSERT_MESSAGE(wrong, all(inlined(wrong + stages).problems).starts_with(told));
    }

    void testInlineProblemsHaveNoFile()
    {
        for (const char* text : {"", "{", "{\"stages\": 1}", "stages: 1", "[", "null", "{}x"})
        {
            const auto parsed = inlined(text);
            CPPUNIT_ASSERT_MESSAGE(text, !parsed.problems.empty());
            CPPUNIT_ASSERT(parsed.problems[0].file.empty());
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ServiceKeysTest);

} // namespace agent
