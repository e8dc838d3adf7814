// stagectl lint: a pipeline file is checked without an agent, and editors check it alike.
#include "tests/support/FilesFolder.h"
#include "tests/support/GitOrigin.h"
#include "tests/support/Program.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <cstdlib>
#include <iostream>

using agent::FilesFolder;
using agent::test::contentOf;
using agent::test::runProgram;

namespace fs = std::filesystem;

class StagectlLintTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagectlLintTest);
    CPPUNIT_TEST(testTellsEachMistakeWithItsPlace);
    CPPUNIT_TEST(testTakesTheRightAndRefusesTheWrongFiles);
    CPPUNIT_TEST(testGoesByTheRulesOfAService);
    CPPUNIT_TEST(testPluginsOfAnotherHostAreNotChecked);
    CPPUNIT_TEST(testSchemaIsTheOneOfTheDocumentation);
    CPPUNIT_TEST(testEditorsCheckAlike);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTellsEachMistakeWithItsPlace()
    {
        _folder.write(".stage-agent.yaml",
                      "env: {PATH: x}\nstages:\n  - type: BUILD\n    plugin: shel\n"
                      "    with: {command: x}\n    timeout: soon\n");
        const auto said = lint({});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(said.err, 1, said.exitCode);
        assertHas(said.err, ".stage-agent.yaml:6:5: stages[0].timeout: expected a duration");
        assertHas(said.err, ".stage-agent.yaml:1:7: env.PATH: ");
        _folder.write(".stage-agent.yaml", "stages: [{type: BUILD, plugin: shel}]\n");
        const auto slip = lint({});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(slip.err, 1, slip.exitCode);
        assertHas(slip.err, ".stage-agent.yaml:1:24: stages[0].plugin: there is no plugin 'shel', "
                            "did you mean 'shell'?");
        const auto missing = lint({"none.yaml"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(missing.err, 2, missing.exitCode);
        assertHas(missing.err, "none.yaml: cannot be opened: No such file or directory");
    }

    void testTakesTheRightAndRefusesTheWrongFiles()
    {
        int seen = 0;
        for (const auto& [folder, exitCode] : {std::pair("right", 0), std::pair("wrong", 1)})
            for (const auto& file : fs::directory_iterator(files() / folder))
            {
                const auto said = lint({file.path().string()});
                CPPUNIT_ASSERT_EQUAL_MESSAGE(file.path().string() + ": " + said.out + said.err,
                                             exitCode, said.exitCode);
                if (exitCode == 1)
                    CPPUNIT_ASSERT_MESSAGE(said.err,
                                           said.err.starts_with(file.path().string() + ":1:") ||
                                               said.err.starts_with(file.path().string() + ":2:"));
                ++seen;
            }
        CPPUNIT_ASSERT(seen > 25);
    }

    void testGoesByTheRulesOfAService()
    {
        _folder.write("services.d/app.yaml", "name: app\nrepository: /srv/x\npipeline: ci.yaml\n"
                                             "allow: {timeout: 5m}\n");
        _folder.write("services.d/other.yaml",
                      "name: other\nstages: [{type: OTHER, plugin: shell, with: {command: x}}]\n");
        _folder.write("ci.yaml",
                      "stages: [{type: OTHER, plugin: notify, with: {url: x}, timeout: 6m}]\n");
        const std::vector<std::string> ours{
            "ci.yaml", "-D", "services.dir=" + (_folder.path() / "services.d").string(),
            "--service"};
        const auto by = [&](const std::string& service)
        {
            auto arguments = ours;
            arguments.push_back(service);
            return lint(arguments);
        };
        const auto said = by("app");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(said.err, 1, said.exitCode);
        assertHas(said.err, "stages[0].plugin: the service does not allow the plugin 'notify'");
        assertHas(said.err, "stages[0].timeout: the service allows at most 300000ms");
        CPPUNIT_ASSERT_EQUAL(2, by("other").exitCode);
        const auto none = by("none");
        CPPUNIT_ASSERT_EQUAL(2, none.exitCode);
        assertHas(none.err, "there is no service 'none' with the key pipeline in ");
    }

    void testPluginsOfAnotherHostAreNotChecked()
    {
        _folder.write(".stage-agent.yaml",
                      "stages: [{type: DEPLOY_PROD, plugin: kubernetes-rollout}]\n");
        const auto said = lint({});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(said.err, 0, said.exitCode);
        assertHas(said.out,
                  "stages[0].plugin: the plugin 'kubernetes-rollout' is not on this host: "
                  "its settings were not checked\n.stage-agent.yaml: 1 stage, right\n");
    }

    void testSchemaIsTheOneOfTheDocumentation()
    {
        const auto printed = lint({"--schema"});
        CPPUNIT_ASSERT_EQUAL(0, printed.exitCode);
        CPPUNIT_ASSERT_MESSAGE("stagectl lint --schema >docs/pipeline.schema.json",
                               contentOf(schema()) == printed.out);
    }

    void testEditorsCheckAlike()
    {
        const fs::path modules = fs::path(STAGE_AGENT_SOURCE_DIR) / "build/api-fuzz-modules";
        const bool can =
            std::getenv("STAGE_AGENT_SKIP_BROWSER") == nullptr &&
            fs::exists(modules / "node_modules/ajv") && fs::exists(modules / "node_modules/yaml") &&
            std::system("node --version >/dev/null 2>&1") == 0; // NOLINT: our own words
        if (!can)
        {
            std::cout << " (skipped: needs node, and ajv and yaml of npm) " << std::flush;
            return;
        }
        const auto checked = runProgram({"/usr/bin/env", "node", (files() / "check.mjs").string(),
                                         schema().string(), modules.string()},
                                        _folder.path());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(checked.out + checked.err, 0, checked.exitCode);
    }

private:
    static fs::path files() { return fs::path(STAGE_AGENT_SOURCE_DIR) / "tests/pipeline-files"; }
    static fs::path schema()
    {
        return fs::path(STAGE_AGENT_SOURCE_DIR) / "docs/pipeline.schema.json";
    }

    /// stagectl lint in the folder.
    [[nodiscard]] agent::test::Ended lint(const std::vector<std::string>& arguments) const
    {
        std::vector<std::string> argv{std::string(STAGE_AGENT_BIN_DIR) + "/stagectl", "lint"};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        return runProgram(argv, _folder.path());
    }

    static void assertHas(const std::string& text, const std::string& wanted)
    {
        CPPUNIT_ASSERT_MESSAGE(wanted + " not in " + text, text.find(wanted) != std::string::npos);
    }

    FilesFolder _folder;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlLintTest);
