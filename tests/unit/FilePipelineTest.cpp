#include "agent/run/FilePipeline.h"

#include "agent/plugin/PluginRegistry.h"
#include "agent/run/Pipeline.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <sys/stat.h>

namespace agent
{

/// What a pipeline file of a repository may have, and what its service demands of it.
class FilePipelineTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(FilePipelineTest);
    CPPUNIT_TEST(testServiceNamesAFile);
    CPPUNIT_TEST(testTellsWrongServices);
    CPPUNIT_TEST(testIsStoredWithTheRun);
    CPPUNIT_TEST(testStagesFollowTheCheckout);
    CPPUNIT_TEST(testVariablesOfServiceAndRequestStay);
    CPPUNIT_TEST(testTellsFileLineColumnAndKey);
    CPPUNIT_TEST(testRefusesWhatIsTheServices);
    CPPUNIT_TEST(testRefusesVariablesThatTheApiRefuses);
    CPPUNIT_TEST(testRefusesOtherPlugins);
    CPPUNIT_TEST(testLimitsAreTheMost);
    CPPUNIT_TEST(testTimeoutIsTheMost);
    CPPUNIT_TEST(testDeploymentsWaitForAnApproval);
    CPPUNIT_TEST(testPullRequestHasNoDeployments);
    CPPUNIT_TEST(testSecretsAreThoseOfTheGrants);
    CPPUNIT_TEST(testHostileFilesAreRefused);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _folder.write("plugins/shell/plugin.yaml", "name: shell\nrun: [a]\nsettings:\n"
                                                   "  command: {type: string, required: true}\n");
        _folder.write("plugins/git/plugin.yaml",
                      "name: git\nrun: [a]\nsettings:\n"
                      "  repository: {type: string, required: true, default_from: repository}\n"
                      "  submodules: {type: boolean, default: false}\n");
        ::chmod((_folder.path() / "plugins").c_str(), 0755);
        std::vector<Problem> problems;
        _plugins.load(_folder.path() / "plugins", problems);
        CPPUNIT_ASSERT_EQUAL(std::string(), told(problems));
    }

    void testServiceNamesAFile()
    {
        const PipelineSpec least = service("");
        CPPUNIT_ASSERT_EQUAL(std::string("ci/pipeline.yaml"), least.file.value().path);
        CPPUNIT_ASSERT(FileRules{} == least.file->allow);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, least.stages.size());
        CPPUNIT_ASSERT(least.stages[0].type == StageType::Prepare);
        CPPUNIT_ASSERT_EQUAL(std::string("git"), least.stages[0].plugin);

        const PipelineSpec most =
            service("allow: {plugins: [shell, notify], without_approval: [DEPLOY_STAGING], "
                    "limits: {memory: 1GiB, cpu: 2, pids: 50}, timeout: 2h}\n"
                    "stages: [{type: PREPARE, plugin: git, with: {submodules: true}}]\n");
        const FileRules& allow = most.file.value().allow;
        CPPUNIT_ASSERT(allow.plugins == (std::vector<std::string>{"shell", "notify"}));
        CPPUNIT_ASSERT(allow.withoutApproval == std::vector{StageType::DeployStaging});
        CPPUNIT_ASSERT(
            (allow.limits == Limits{.memoryBytes = 1 << 30, .cpuPercent = 200, .pids = 50}));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{7'200'000}, allow.timeoutMs.value_or(0));
        CPPUNIT_ASSERT(most.stages.at(0).with.contains("submodules"));
    }

    void testTellsWrongServices()
    {
        const auto check = [this](const std::string& keys, const std::string& wanted)
        {
            const auto parsed = parseService(_folder.write("s.yaml", "name: s\n" + keys));
            CPPUNIT_ASSERT_MESSAGE(wanted + " not in " + told(parsed.problems),
                                   told(parsed.problems).find(wanted) != std::string::npos);
        };
        const std::string git = "repository: /srv/x\n";
        check("pipeline: a.yaml\n", "s.yaml:2: pipeline: needs the key repository");
        check(git + "pipeline: ../a\n", "s.yaml:3: pipeline: must be a path from the root");
        check(git + "pipeline: /a\n", "s.yaml:3: pipeline: must be a path from the root");
        check(git + "pipeline: \"a\\nb\"\n", "s.yaml:3: pipeline: must be one line");
        check(git + "pipeline: ''\n", "s.yaml:3: pipeline: must not be empty");
        check(git + "pipeline: a\nsecrets: [NPM_TOKEN]\n",
              "s.yaml:4: secrets: each stage that a branch adds");
        check(git + "pipeline: a\nstages: [{type: BUILD, plugin: shell}]\n",
              "s.yaml:4: stages: the stages are in the repository");
        check(git + "pipeline: a\nstages: [{type: PREPARE, plugin: git, with: {repository: /b}}]\n",
              "s.yaml:4: stages: the stages are in the repository");
        check(git + "stages: [{type: PREPARE, plugin: git}]\nallow: {}\n",
              "s.yaml:4: allow: goes with the key pipeline");
        check(git + "pipeline: a\nallow: {plugin: [a]}\n",
              "s.yaml:4: allow.plugin: unknown key, did you mean 'plugins'?");
        check(git + "pipeline: a\nallow: {without_approval: [BUILD]}\n",
              "s.yaml:4: allow.without_approval[0]: needs no approval anyway");
        check(git + "pipeline: a\nallow: {timeout: 0}\n",
              "s.yaml:4: allow.timeout: must be longer than 0");
        std::vector<Problem> problems;
        const auto tree = parseYaml(
            "pipeline: a\nrepository: /b\nstages: [{type: OTHER, plugin: p}]", "", problems);
        CPPUNIT_ASSERT(told(parsePipeline(tree, problems).problems)
                           .find("an inline pipeline has its stages in the request") !=
                       std::string::npos);
    }

    void testIsStoredWithTheRun()
    {
        PipelineSpec spec = service("allow: {plugins: [], without_approval: [DEPLOY_PROD], "
                                    "limits: {pids: 5}, timeout: 90s}\n");
        spec.file.value().deploys = false;
        CPPUNIT_ASSERT(Pipeline::fromJson(Pipeline(spec).json()).spec() == spec);
        spec.file.reset();
        CPPUNIT_ASSERT(Pipeline::fromJson(Pipeline(spec).json()).spec() == spec);
    }

    void testStagesFollowTheCheckout()
    {
        const PipelineSpec whole = right(service(""), "stages:\n" + stage("type: UNIT_TEST") +
                                                          stage("type: BUILD, timeout: 5m"));
        CPPUNIT_ASSERT(!whole.file);
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, whole.stages.size());
        CPPUNIT_ASSERT_EQUAL(std::string("git"), whole.stages[0].plugin);
        CPPUNIT_ASSERT(whole.stages[1].type == StageType::UnitTest);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{300'000}, whole.stages[2].timeoutMs.value_or(0));
        std::string many = "stages:\n";
        for (int i = 0; i < 99; ++i)
            many += stage("type: OTHER");
        CPPUNIT_ASSERT_EQUAL(std::size_t{100}, right(service(""), many).stages.size());
        wrong(service(""), many + stage("type: OTHER"),
              "ci/pipeline.yaml:1:1: stages: must hold 1 to 99 stages, holds 100");
    }

    void testVariablesOfServiceAndRequestStay()
    {
        PipelineSpec submitted = service("env: {A: service}\n");
        submitted.env["B"] = "request";
        const PipelineSpec whole =
            right(submitted, "env: {A: file, B: file, C: file}\nstages:\n" + stage("type: OTHER"));
        CPPUNIT_ASSERT(whole.env == (std::map<std::string, std::string>{
                                        {"A", "service"}, {"B", "request"}, {"C", "file"}}));
    }

    void testTellsFileLineColumnAndKey()
    {
        const auto check = [this](const std::string& text, const std::string& line)
        { CPPUNIT_ASSERT_EQUAL(line, told(made(service(""), text).problems)); };
        check("stages:\n  - type: BUILD\n    plugin: shell\n    with: {command: x}\n"
              "    timeout: soon\n",
              "ci/pipeline.yaml:5:5: stages[0].timeout: expected a duration such as 500ms, 30s, "
              "10m or 2h, found the text 'soon'\n");
        check("stages:\n  - {type: BUILD, plugin: shell}\n",
              "ci/pipeline.yaml:2:5: stages[0].with.command: the plugin 'shell' requires it\n");
        check("stages:\n  - {type: BULD, plugin: shell, with: {command: x}}\n",
              "ci/pipeline.yaml:2:6: stages[0].type: expected one of PREPARE, CODE_QUALITY, "
              "UNIT_TEST, BUILD, INTEGRATION_TEST, DEPLOY_STAGING, DEPLOY_PROD, OTHER, found the "
              "text 'BULD', did you mean 'BUILD'?\n");
        check("env: {}\n", "ci/pipeline.yaml:1:1: stages: is missing\n");
        const std::string malformed = told(made(service(""), "stages:\n  - {a: b\n").problems);
        CPPUNIT_ASSERT_MESSAGE(malformed,
                               malformed.starts_with("ci/pipeline.yaml:3:1: malformed YAML: "));
        CPPUNIT_ASSERT_EQUAL(std::string("ci/pipeline.yaml: holds nothing"),
                             summaryOf(made(service(""), "").problems));
        std::string seven = "stages:\n";
        for (int i = 0; i < 7; ++i)
            seven += "  - {type: BUILD, plugin: shell}\n";
        const std::string summary = summaryOf(made(service(""), seven).problems);
        CPPUNIT_ASSERT_MESSAGE(summary, summary.ends_with("; and 2 more"));
    }

    void testRefusesWhatIsTheServices()
    {
        for (const char* key :
             {"isolation: none", "network: host", "binds: [/etc]", "secrets: [A]",
              "on: {tags: [a]}", "hook_secret: A", "secrets_for_pull_requests: true", "id: a",
              "name: a", "concurrency: 5", "repository: /etc", "branch: b", "pipeline: other",
              "allow: {plugins: [git]}"})
        {
            const std::string text = std::string(key) + "\nstages:\n" + stage("type: OTHER");
            const std::string name = std::string(key).substr(0, std::string(key).find(':'));
            wrong(service(""), text,
                  "ci/pipeline.yaml:1:1: " + name + ": is set by the service on the agent's host");
        }
        wrong(service(""), "forks: allow\nstages:\n" + stage("type: OTHER"),
              "ci/pipeline.yaml:1:1: forks: ");
        wrong(service(""), "stages:\n" + stage("type: OTHER, isolation: none"),
              "stages[0].isolation: unknown key");
        right(service(""), "x-base: &a {type: OTHER, plugin: shell, with: {command: x}}\n"
                           "stages: [*a]\n");
    }

    void testRefusesVariablesThatTheApiRefuses()
    {
        for (const char* name : {"LD_PRELOAD", "PATH", "GIT_SSH_COMMAND", "NODE_OPTIONS"})
            wrong(service(""),
                  std::string("env:\n  ") + name + ": x\nstages:\n" + stage("type: OTHER"),
                  std::string("ci/pipeline.yaml:2:3: env.") + name + ": ");
        wrong(service(""), "env: {STAGE_AGENT_PIPELINE: x}\nstages:\n" + stage("type: OTHER"),
              "env.STAGE_AGENT_PIPELINE: is set by the agent itself");
        // The service may set what the file may not.
        right(service("env: {LD_PRELOAD: x}\n"), "stages:\n" + stage("type: OTHER"));
    }

    void testRefusesOtherPlugins()
    {
        const std::string git = "stages:\n  - {type: PREPARE, plugin: git}\n";
        wrong(service(""), git,
              "ci/pipeline.yaml:2:21: stages[0].plugin: the service does not allow the plugin "
              "'git' to this file; it allows: shell; the commit is checked out already");
        wrong(service("allow: {plugins: []}\n"), "stages:\n" + stage("type: OTHER"),
              "it allows: none");
        right(service("allow: {plugins: [git]}\n"), git);
    }

    void testLimitsAreTheMost()
    {
        const PipelineSpec spec = service("allow: {limits: {memory: 1GiB, cpu: 2, pids: 50}}\n");
        wrong(spec, "stages:\n" + stage("type: OTHER, limits: {memory: 2GiB}"),
              "stages[0].limits.memory: the service allows at most 1073741824 bytes");
        wrong(spec, "stages:\n" + stage("type: OTHER, limits: {cpu: 3}"),
              "stages[0].limits.cpu: the service allows at most 200%");
        wrong(spec, "stages:\n" + stage("type: OTHER, limits: {pids: 51}"),
              "stages[0].limits.pids: the service allows at most 50");
        const auto stages =
            right(spec, "stages:\n" + stage("type: OTHER, limits: {memory: 1MiB}")).stages;
        CPPUNIT_ASSERT(
            (stages[1].limits == Limits{.memoryBytes = 1 << 20, .cpuPercent = 200, .pids = 50}));
        CPPUNIT_ASSERT(stages[0].limits == Limits{}); // the service's own stage
        wrong(spec, "stages:\n" + stage("type: OTHER, grace: 61s"),
              "stages[0].grace: must not be longer than 60s");
    }

    void testTimeoutIsTheMost()
    {
        const PipelineSpec spec = service("allow: {timeout: 30m}\n");
        wrong(spec, "stages:\n" + stage("type: OTHER, timeout: 31m"),
              "stages[0].timeout: the service allows at most 1800000ms");
        const auto timeout = [&](const std::string& keys, std::int64_t byDefault)
        {
            const auto whole = filePipeline(spec, "stages:\n" + stage(keys), _plugins, byDefault);
            return whole.spec.stages.at(1).timeoutMs;
        };
        CPPUNIT_ASSERT(timeout("type: OTHER", 3'600'000) == 1'800'000);
        CPPUNIT_ASSERT(timeout("type: OTHER", 0) == 1'800'000); // the configuration has no limit
        CPPUNIT_ASSERT(!timeout("type: OTHER", 60'000));
        CPPUNIT_ASSERT(timeout("type: OTHER, timeout: 1m", 0) == 60'000);
    }

    void testDeploymentsWaitForAnApproval()
    {
        const std::string text = "stages:\n" + stage("type: DEPLOY_STAGING") +
                                 stage("type: DEPLOY_PROD") + stage("type: BUILD") +
                                 stage("type: BUILD, approval: required");
        const auto approvals = [&](const std::string& keys)
        {
            std::string waits;
            for (const StageSpec& each : right(service(keys), text).stages)
                waits += each.approval.required ? '1' : '0';
            return waits;
        };
        CPPUNIT_ASSERT_EQUAL(std::string("01101"), approvals(""));
        CPPUNIT_ASSERT_EQUAL(std::string("00101"),
                             approvals("allow: {without_approval: [DEPLOY_STAGING]}\n"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("00001"),
            approvals("allow: {without_approval: [DEPLOY_STAGING, DEPLOY_PROD]}\n"));
    }

    void testPullRequestHasNoDeployments()
    {
        PipelineSpec spec = service("");
        spec.file.value().deploys = false;
        const std::string text = "stages:\n" + stage("type: DEPLOY_STAGING") +
                                 stage("type: BUILD") + stage("type: DEPLOY_PROD");
        const auto stages = right(spec, text).stages;
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, stages.size());
        CPPUNIT_ASSERT(stages[1].type == StageType::Build);
    }

    void testSecretsAreThoseOfTheGrants()
    {
        const PipelineSpec spec = service(
            "grants:\n  A: {types: [DEPLOY_PROD], branches: [main]}\n  B: {branches: [x]}\n");
        CPPUNIT_ASSERT(allSecrets(spec) == (std::vector<std::string>{"A", "B"}));
        wrong(spec, "stages:\n" + stage("type: OTHER, secrets: [C]"),
              "stages[0].secrets[0]: is none that the service's grants give to this file");
        wrong(spec, "stages:\n" + stage("type: OTHER, secrets: [B, A]"),
              "stages[0].secrets[1]: is granted to stages of the types DEPLOY_PROD only");
        wrong(spec, "env: {B: x}\nstages:\n" + stage("type: OTHER"),
              "ci/pipeline.yaml:1:7: env.B: is a secret of the service");
        const PipelineSpec whole =
            right(spec, "stages:\n" + stage("type: DEPLOY_PROD, secrets: [A, B]"));
        CPPUNIT_ASSERT(whole.stages.at(1).secrets == (std::vector<std::string>{"A", "B"}));
        CPPUNIT_ASSERT(whole.grants == spec.grants);
    }

    /// Whoever may push a branch must not make the engine slow: what is too large is refused while it is read.
    void testHostileFilesAreRefused()
    {
        wrong(service(""), std::string(131'073, '#'), "longer than 131072 bytes");
        std::string laughs = "x-0: &0 [a, a, a, a, a, a, a, a, a, a]\n";
        for (int i = 1; i < 9; ++i)
        {
            const std::string before = "*" + std::to_string(i - 1);
            laughs += "x-" + std::to_string(i) + ": &" + std::to_string(i) + " [";
            for (int j = 0; j < 9; ++j)
                laughs += before + ", ";
            laughs += before + "]\n";
        }
        wrong(service(""), laughs, "more than 10000 values");
        wrong(service(""), std::string(5000, '['), "nested deeper than 32");
        wrong(service(""), std::string("stages: [\x01]"), "holds a control character");
        wrong(service(""), "stages: [\xff]", "is not UTF-8");
        wrong(service(""), "a\n---\nb\n", "holds more than one document");
    }

private:
    PipelineSpec service(const std::string& keys)
    {
        const auto parsed = parseService(_folder.write(
            "s.yaml", "name: s\nrepository: /srv/x\npipeline: ci/pipeline.yaml\n" + keys));
        CPPUNIT_ASSERT_EQUAL(std::string(), told(parsed.problems));
        return parsed.service.pipeline;
    }

    static std::string stage(const std::string& keys)
    {
        return "  - {" + keys + ", plugin: shell, with: {command: x}}\n";
    }

    ParsedPipeline made(const PipelineSpec& submitted, const std::string& text)
    {
        return filePipeline(submitted, text, _plugins, 3'600'000);
    }

    PipelineSpec right(const PipelineSpec& submitted, const std::string& text)
    {
        auto parsed = made(submitted, text);
        CPPUNIT_ASSERT_EQUAL(std::string(), told(parsed.problems));
        return parsed.spec;
    }

    void wrong(const PipelineSpec& submitted, const std::string& text, const std::string& wanted)
    {
        const std::string found = told(made(submitted, text).problems);
        CPPUNIT_ASSERT_MESSAGE(wanted + " not in " + found,
                               found.find(wanted) != std::string::npos);
    }

    static std::string told(const std::vector<Problem>& problems)
    {
        std::string text;
        for (const Problem& problem : problems)
            text += problem.describe() + '\n';
        return text;
    }

    FilesFolder _folder;
    PluginRegistry _plugins;
};

CPPUNIT_TEST_SUITE_REGISTRATION(FilePipelineTest);

} // namespace agent
