#include "agent/run/PipelineParser.h"
#include "agent/run/Pipeline.h"

#include "agent/plugin/PluginRegistry.h"
#include "tests/support/ServiceFiles.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>
#include <sys/stat.h>

namespace agent
{

using test::all;
using test::inlined;

class PipelineParserTest: public CppUnit::TestFixture, private test::ServiceFiles
{
    CPPUNIT_TEST_SUITE(PipelineParserTest);
    CPPUNIT_TEST(testReadsTheExampleWithEveryKey);
    CPPUNIT_TEST(testReadsTheSmallExample);
    CPPUNIT_TEST(testGivesDefaults);
    CPPUNIT_TEST(testKeepsOrderAndRepeatedTypes);
    CPPUNIT_TEST(testReadsJsonAndYamlAlike);
    CPPUNIT_TEST(testTellsWrongStages);
    CPPUNIT_TEST(testTellsWrongConditionsAndApprovals);
    CPPUNIT_TEST(testTellsWrongRetryAndLimits);
    CPPUNIT_TEST(testTellsAllProblemsInOrderOfTheKeys);
    CPPUNIT_TEST(testKeysThatBeginWithXAreFree);
    CPPUNIT_TEST(testTellsWhatOtherToolsCallOtherwise);
    CPPUNIT_TEST(testRefusesUnreadableFiles);
    CPPUNIT_TEST(testChecksPluginsWithLines);
    CPPUNIT_TEST(testRequiresRepositoryForDefaultFrom);
    CPPUNIT_TEST(testRefusesASecretAsAnArgument);
    CPPUNIT_TEST_SUITE_END();

public:
    void testReadsTheExampleWithEveryKey()
    {
        const auto parsed = example("full.yaml.example");
        CPPUNIT_ASSERT_EQUAL(std::string(), all(parsed.problems));
        const Service& service = parsed.service;
        CPPUNIT_ASSERT_EQUAL(std::string("payment"), service.name);
        CPPUNIT_ASSERT_EQUAL(std::string("6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10"), service.id);
        CPPUNIT_ASSERT_EQUAL(1, service.concurrency);
        CPPUNIT_ASSERT(service.file.ends_with("full.yaml.example"));
        CPPUNIT_ASSERT(service.labels == (Labels{{"team", "checkout"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("https://git.example.org/acme/payment/commit/{commit}"),
                             service.links.commit);
        CPPUNIT_ASSERT(service.links.branch.ends_with("/tree/{branch}"));
        CPPUNIT_ASSERT(service.links.pull.ends_with("/pull/{pull}"));
        const PipelineSpec& spec = service.pipeline;
        CPPUNIT_ASSERT_EQUAL(std::string("https://git.example.org/acme/payment.git"),
                             spec.repository);
        CPPUNIT_ASSERT_EQUAL(std::string("main"), spec.branch);
        CPPUNIT_ASSERT(spec.env == (std::map<std::string, std::string>{{"NODE_ENV", "test"},
                                                                       {"BUILD_FLAGS", ""}}));
        CPPUNIT_ASSERT(spec.secrets == std::vector<std::string>{"NPM_TOKEN"});
        CPPUNIT_ASSERT(spec.isolation == Isolation::Sandbox);
        CPPUNIT_ASSERT(spec.network == Network::Host);
        CPPUNIT_ASSERT(spec.binds ==
                       (std::vector<Bind>{{.path = "/dev/kvm"},
                                          {.path = "/var/cache/ccache", .writable = true}}));
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, spec.stages.size());

        StageSpec unit;
        unit.type = StageType::UnitTest;
        unit.name = "Unit tests on Node 18";
        unit.plugin = "shell";
        unit.with = {{"command", {Setting::Kind::String, "npm ci\nnpm test\n"}}};
        unit.timeoutMs = 1'200'000;
        unit.silenceMs = 300'000;
        unit.graceMs = 10'000;
        unit.stuckAfterMs = 900'000;
        unit.retry = {.attempts = 3,
                      .delayMs = 30'000,
                      .onExitCodes = {75},
                      .onCauses = {Cause::Oom},
                      .onLoss = true};
        unit.limits = {.memoryBytes = std::int64_t{2} << 30, .cpuPercent = 150, .pids = 500};
        unit.artifacts = {.paths = {"coverage/**"},
                          .name = "coverage",
                          .keepMs = 7 * 86'400'000,
                          .when = RunsAfter::Always,
                          .required = true};
        unit.reports = {.junit = {"reports/**/*.xml"}};
        unit.caches = {{.key = "npm-${arch}-${sha256:package-lock.json}",
                        .restore = {"npm-${arch}-"},
                        .paths = {"node_modules", "~/.npm"}}};
        CPPUNIT_ASSERT(unit == spec.stages[1]);
        CPPUNIT_ASSERT(spec.stages[2].secrets == std::vector<std::string>{"DEPLOY_TOKEN"});
        CPPUNIT_ASSERT(spec.grants.contains("DEPLOY_TOKEN"));
        CPPUNIT_ASSERT(
            (spec.git == GitCredential{.token = "PAYMENT_READ_TOKEN", .user = "x-access-token"}));
        CPPUNIT_ASSERT(service.forksAllowed);
        CPPUNIT_ASSERT(spec.stages[2].when ==
                       (WhenSpec{.branches = {"main", "release/*"},
                                 .triggers = {TriggerType::Main, TriggerType::Manual}}));
        CPPUNIT_ASSERT(
            spec.stages[2].approval ==
            (ApprovalSpec{.required = true, .expiresMs = 86'400'000, .by = {"admin", "ada"}}));
        CPPUNIT_ASSERT(spec.stages[3].when == WhenSpec{.run = RunsAfter::Always});
        CPPUNIT_ASSERT(Pipeline::fromJson(Pipeline(spec).json()).spec() == spec);
    }

    void testKeysThatBeginWithXAreFree()
    {
        const auto parsed =
            service("name: a\nx-base: &base {type: OTHER, plugin: p}\nstages: [*base, "
                    "{<<: *base, plugin: q}]\n");
        CPPUNIT_ASSERT_EQUAL(std::string(), all(parsed.problems));
        CPPUNIT_ASSERT_EQUAL(std::string("q"), parsed.service.pipeline.stages.at(1).plugin);
        CPPUNIT_ASSERT(
            all(service("name: a\nstages: [{type: OTHER, plugin: p, x-a: 1}]\n").problems)
                .find("stages[0].x-a: unknown key") != std::string::npos);
    }

    void testTellsWhatOtherToolsCallOtherwise()
    {
        for (const auto& [line, wanted] : std::vector<std::pair<std::string, std::string>>{
                 {"repo: x", "repo: unknown key, did you mean 'repository'?"},
                 {"steps: []", "steps: unknown key, did you mean 'stages'?"},
                 {"stages: [{type: LINT, plugin: p}]",
                  "found the text 'LINT', did you mean 'CODE_QUALITY'?"},
                 {"stages: [{type: OTHER, plugin: p, script: x}]",
                  "script: unknown key: a command stands in with: {command: "},
                 {"stages: [{type: OTHER, plugin: p, needs: x}]",
                  "needs: must be maps such as {service: lib, artifacts: dist, to: vendor/lib}; "
                  "stages "
                  "need no key for it: they run in the order in which they are listed"},
                 {"stages: [{type: OTHER, plugin: p, needs: [build]}]",
                  "needs[0]: must be maps such as"},
                 {"stages: [{type: OTHER, plugin: p, only: x}]",
                  "only: unknown key: a stage has no conditions"}})
        {
            const std::string said = all(service("name: a\n" + line + "\n").problems);
            CPPUNIT_ASSERT_MESSAGE(said, said.find(wanted) != std::string::npos);
        }
    }

    void testReadsTheSmallExample()
    {
        const auto parsed = example("hello.yaml.example");
        CPPUNIT_ASSERT_EQUAL(std::string(), all(parsed.problems));
        CPPUNIT_ASSERT_EQUAL(std::string("hello"), parsed.service.name);
    }

    void testGivesDefaults()
    {
        const auto parsed = service("name: a\nstages: [{type: OTHER, plugin: p}]\n");
        CPPUNIT_ASSERT_EQUAL(std::string(), all(parsed.problems));
        CPPUNIT_ASSERT_EQUAL(1, parsed.service.concurrency);
        CPPUNIT_ASSERT(parsed.service.id.empty());
        StageSpec stage;
        stage.plugin = "p";
        CPPUNIT_ASSERT(stage == parsed.service.pipeline.stages.at(0));
    }

    void testKeepsOrderAndRepeatedTypes()
    {
        const auto parsed = inlined("stages:\n"
                                    "  - {type: BUILD, plugin: a}\n"
                                    "  - {type: PREPARE, plugin: b}\n"
                                    "  - {type: BUILD, plugin: c}\n");
        CPPUNIT_ASSERT(parsed.problems.empty());
        std::string order;
        for (const StageSpec& stage : parsed.spec.stages)
            order += stage.plugin;
        CPPUNIT_ASSERT_EQUAL(std::string("abc"), order);
    }

    void testReadsJsonAndYamlAlike()
    {
        const auto json = inlined(
            R"( {"name":"x","repository":"/srv/a.git","env":{"A":"1","B":2,"C":true},"stages":[
            {"type":"BUILD","plugin":"shell","timeout":90,"with":{"command":"a\n\"b\" \ud83d\ude00",
             "list":[1,"2",true,null,{"k":[]}],"n":1.50,"t":false}}]})");
        const auto yaml = inlined("name: x\nrepository: /srv/a.git\n"
                                  "env: {A: '1', B: 2, C: true}\n"
                                  "stages:\n- type: BUILD\n  plugin: shell\n  timeout: 90s\n"
                                  "  with:\n    command: \"a\\n\\\"b\\\" \xf0\x9f\x98\x80\"\n"
                                  "    list: [1, '2', true, null, {k: []}]\n"
                                  "    n: 1.50\n    t: false\n");
        CPPUNIT_ASSERT_EQUAL(std::string(), all(json.problems) + all(yaml.problems));
        CPPUNIT_ASSERT(json.spec == yaml.spec);
        CPPUNIT_ASSERT_EQUAL(std::string("[1,\"2\",true,null,{\"k\":[]}]"),
                             json.spec.stages[0].with.at("list").text);
        CPPUNIT_ASSERT_EQUAL(std::string("1.50"), json.spec.stages[0].with.at("n").text);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), json.spec.env.at("B"));
    }

    void testTellsWrongStages()
    {
        check(stages("- {plugin: p}"), ":3: stages[0].type: is missing");
        check(stages("- {type: BUILD}"), ":3: stages[0].plugin: is missing");
        check(stages("- text"), ":3: stages[0]: expected a map, found the text 'text'");
        check(stages("- {type: UNITTEST, plugin: p}"),
              ":3: stages[0].type: expected one of PREPARE, CODE_QUALITY, UNIT_TEST, BUILD, "
              "INTEGRATION_TEST, DEPLOY_STAGING, DEPLOY_PROD, OTHER, found the text 'UNITTEST', "
              "did you mean 'UNIT_TEST'?");
        check(stages("- {type: build, plugin: p}"), "did you mean 'BUILD'?");
        check(stages("- {type: BUILD, plugin: ''}"), ":3: stages[0].plugin: must not be empty");
        check(stages("- {type: BUILD, plugin: p, name: \"a\\nb\"}"),
              ":3: stages[0].name: must be one line of at most 128 bytes");
        check(stages("- {type: BUILD, plugin: p}\n- type: BUILD\n  plugin: p\n  timeuot: 5s"),
              ":6: stages[1].timeuot: unknown key, did you mean 'timeout'?");
        check(stage("timeout: 5x"),
              ":5: stages[0].timeout: expected a duration such as 500ms, 30s, "
              "10m or 2h, found the text '5x'");
        check(stage("timeout: 0"), ":5: stages[0].timeout: must be longer than 0");
        check(stage("timeout: -5"), ":5: stages[0].timeout: expected a duration");
        check(stage("timeout: [5s]"), ":5: stages[0].timeout: expected text, found a list");
        check(stage("timeout:"), ":5: stages[0].timeout: expected text, found nothing");
        check(stage("silence: 0s"), ":5: stages[0].silence: must be longer than 0");
        check(stage("stuck_after: 0s"), ":5: stages[0].stuck_after: must be longer than 0");
        check(stage("output: both"),
              ":5: stages[0].output: expected one of merged, separate, found the text 'both'");
        check(stage("output: [merged]"), ":5: stages[0].output: expected text, found a list");
        check(stage("grace: soon"), ":5: stages[0].grace: expected a duration");
        check(
            stage("approval: true"),
            ":5: stages[0].approval: expected required, or a map such as {required: true, expires: "
            "24h}, found true");
        check(stage("approval: requred"), "found the text 'requred'");
        check(stage("with: [a]"), ":5: stages[0].with: expected a map, found a list");
        check(stage("with: {a: }"), ":5: stages[0].with.a: expected a value");
        check(stage("with: {a: \"\\0\"}"), ":5: stages[0].with.a: holds a control character");
        check(stage("with: {a: 1, a: 2}"), ":5: stages[0].with.a: this key is here twice");
        check(stage("cache: npm"), ":5: stages[0].cache: expected a list");
        check(stage("cache: []"), ":5: stages[0].cache: must hold 1 to 8 caches, holds 0");
        check(stage("cache: [{paths: [a]}]"), ":5: stages[0].cache[0].key: is missing");
        check(stage("cache: [{key: a}]"), ":5: stages[0].cache[0].paths: is missing");
        check(stage("cache: [{key: '-a', paths: [a]}]"),
              ":5: stages[0].cache[0].key: must begin with a letter or a digit");
        check(stage("cache: [{key: 'a-${branch}', paths: [a]}]"),
              ":5: stages[0].cache[0].key: has '${branch}'; known are");
        check(stage("cache: [{key: 'a-${sha256:../x}', paths: [a]}]"),
              ":5: stages[0].cache[0].key: has a file whose path must not have an empty part");
        check(stage("cache: [{key: a, restore: [a/b], paths: [a]}]"),
              ":5: stages[0].cache[0].restore[0]: may have letters");
        check(stage("cache: [{key: a, paths: [a, a]}]"),
              ":5: stages[0].cache[0].paths[1]: is there twice");
        check(stage("cache: [{key: a, paths: [/etc]}]"),
              ":5: stages[0].cache[0].paths[0]: must be relative to the workspace");
        check(stage("cache: [{key: a, paths: ['~/../x']}]"),
              ":5: stages[0].cache[0].paths[0]: must not have an empty part");
        check(stage("cache: [{key: a, paths: [.git/objects]}]"),
              ":5: stages[0].cache[0].paths[0]: must not be in .git");
        check(ServiceFiles::stages("- {type: BUILD, plugin: git, cache: [{key: a, paths: [b]}]}"),
              ":3: stages[0].cache: the plugin git empties the workspace");
        check(stage("needs: []"), ":5: stages[0].needs: must hold 1 to 8, holds 0");
        check(stage("needs: [{service: lib, artifacts: dist}]"),
              ":5: stages[0].needs[0].to: is missing");
        check(stage("needs: [{service: a/b, artifacts: dist, to: x}]"),
              ":5: stages[0].needs[0].service: must be 1 to 64 letters");
        check(stage("needs: [{service: lib, artifacts: dist, to: x/../y}]"),
              ":5: stages[0].needs[0].to: must not have an empty part");
        check(
            stage("needs: [{service: lib, artifacts: a, to: x}, {service: lib, artifacts: b, to: "
                  "x/y}]"),
            ":5: stages[0].needs[1]: to is the same folder as that of [0], or one is in the other");
        check(ServiceFiles::stages("- {type: BUILD, plugin: git, needs: [{service: lib, artifacts: "
                                   "dist, to: x}]}"),
              ":3: stages[0].needs: the plugin git empties the workspace");
        check(stage("artifacts: dist"),
              ":5: stages[0].artifacts: expected a list of patterns such as [dist/**], or a map");
        check(stage("artifacts: [/etc/passwd]"),
              ":5: stages[0].artifacts[0]: must be relative to the workspace");
        check(stage("artifacts: [a, b/../../c]"), ":5: stages[0].artifacts[1]: must not hold '..'");
        check(stage("artifacts: ['']"), ":5: stages[0].artifacts[0]: must not be empty");
        check(stage("artifacts: ['" + std::string(1025, 'a') + "']"),
              ":5: stages[0].artifacts[0]: must not be longer than 1024 bytes");
        check(stage("artifacts: {keep: 7d}"), ":5: stages[0].artifacts.paths: is missing");
        check(stage("artifacts: {paths: []}"),
              ":5: stages[0].artifacts.paths: must hold a pattern such as dist/**");
        check(stage("artifacts: {paths: [/a]}"),
              ":5: stages[0].artifacts.paths[0]: must be relative to the workspace");
        check(stage("artifacts: {paths: [a], name: a/b}"),
              ":5: stages[0].artifacts.name: must be 1 to 64 letters, digits");
        check(stage("artifacts: {paths: [a], keep: soon}"),
              ":5: stages[0].artifacts.keep: expected a duration");
        check(stage("artifacts: {paths: [a], when: never}"),
              ":5: stages[0].artifacts.when: expected one of success, failure, always, found the "
              "text 'never'");
        check(stage("artifacts: {paths: [a], required: x}"),
              ":5: stages[0].artifacts.required: expected true or false");
        check(stage("artifacts: {path: [a]}"),
              ":5: stages[0].artifacts.path: unknown key, did you mean 'paths'?");
        check(stage("reports: [a.xml]"), ":5: stages[0].reports: expected a map, found a list");
        check(stage("reports: {}"), ":5: stages[0].reports.junit: is missing");
        check(stage("reports: {junit: [../a.xml]}"),
              ":5: stages[0].reports.junit[0]: must not hold '..'");
    }

    void testTellsWrongConditionsAndApprovals()
    {
        check(stage("when: main"), ":5: stages[0].when: expected a map, found the text 'main'");
        check(stage("when: {}"), ":5: stages[0].when: must hold branch, trigger or run");
        check(stage("when: {branche: [main]}"),
              ":5: stages[0].when.branche: unknown key, did you mean 'branch'?");
        check(stage("when: {branch: []}"), ":5: stages[0].when.branch: must hold a pattern");
        check(stage("when: {trigger: []}"), ":5: stages[0].when.trigger: must hold a trigger");
        check(stage("when: {trigger: [PR]}"),
              ":5: stages[0].when.trigger[0]: expected one of MAIN, PR_OPEN, PR_SYNC, MANUAL, "
              "found the text 'PR'");
        check(stage("when: {run: allways}"), "found the text 'allways', did you mean 'always'?");
        check(stage("when: {run: always}\n  approval: required"),
              "stages[0]: when: {run: always} can't be combined with approval");
        check(stages("- {type: OTHER, plugin: external, when: {run: failure}}"),
              ":3: stages[0]: when: {run: failure} can't be combined with the plugin external");
        check(stage("approval: {expires: 1h}"), ":5: stages[0].approval.required: is missing");
        check(stage("approval: {required: true, expires: 0s}"),
              ":5: stages[0].approval.expires: must be longer than 0");
        check(stage("approval: {required: true, by: []}"),
              ":5: stages[0].approval.by: must hold a role or a name");
        check(stage("approval: {required: true, by: [run]}"),
              ":5: stages[0].approval.by[0]: the role 'run' approves nothing");
        check("name: a\nsupersede: 1\nstages: [{type: OTHER, plugin: p}]\n",
              ":2: supersede: expected true or false");
    }

    void testTellsWrongRetryAndLimits()
    {
        check(stage("retry: 3"), ":5: stages[0].retry: expected a map, found the number 3");
        check(stage("retry: {atempts: 3}"),
              ":5: stages[0].retry.atempts: unknown key, did you mean 'attempts'?");
        for (const char* attempts : {"0", "11", "-1", "1.0", "1e0", "'2'", "99999999999999999999"})
            check(stage(std::string("retry: {attempts: ") + attempts + "}"),
                  ":5: stages[0].retry.attempts: expected a whole number from 1 to 10, found");
        check(stage("retry: {delay: x}"), ":5: stages[0].retry.delay: expected a duration");
        check(stage("retry: {on: 1}"), ":5: stages[0].retry.on: expected a list");
        check(stage("retry: {on: []}"),
              ":5: stages[0].retry.on: must hold an exit code or a cause");
        check(stage("retry: {on: [0]}"),
              ":5: stages[0].retry.on[0]: expected a whole number from 1");
        check(stage("retry: {on: [1, 256]}"), ":5: stages[0].retry.on[1]: expected a whole number");
        check(stage("retry: {on: [TIMOUT]}"), "did you mean 'TIMEOUT'?");
        for (const char* final :
             {"STOPPED", "OPERATOR", "REJECTED", "SKIPPED", "EXTERNAL", "LOG_LIMIT"})
            check(stage(std::string("retry: {on: [") + final + "]}"),
                  ":5: stages[0].retry.on[0]: " + std::string(final) + " is never tried again");
        check(stage("retry: {on_loss: yes}"),
              ":5: stages[0].retry.on_loss: expected true or false, found the text 'yes'");
        check(stage("limits: {mem: 1}"), ":5: stages[0].limits.mem: unknown key");
        check(stage("limits: {memory: 0}"), ":5: stages[0].limits.memory: expected a size");
        check(stage("limits: {memory: lots}"), ":5: stages[0].limits.memory: expected a size");
        for (const char* cpu :
             {"0", "-1", "0%", "x%", "'%'", "nan", "inf", "1e3", "9999999", "'1,5'"})
            check(stage(std::string("limits: {cpu: ") + cpu + "}"),
                  ":5: stages[0].limits.cpu: expected a number of cores");
        check(stage("limits: {pids: 0}"), ":5: stages[0].limits.pids: expected a whole number");

        const auto parsed = service(stage("limits: {cpu: 0.25, memory: 1 GiB}"));
        CPPUNIT_ASSERT_EQUAL(std::string(), all(parsed.problems));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{25}, parsed.service.pipeline.stages[0].limits.cpuPercent);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1} << 30,
                             parsed.service.pipeline.stages[0].limits.memoryBytes);
    }

    void testTellsAllProblemsInOrderOfTheKeys()
    {
        const auto parsed =
            service("name: a\nname: b\nbranch: '-x'\nfoo: 1\nstages:\n"
                    "  - type: NONE\n    timeout: x\n    retry: {on: [7, OPERATOR]}\n");
        const std::vector<std::string> expected{":2: name: this key",
                                                ":4: foo: unknown key",
                                                ":3: branch: must not begin with '-'",
                                                ":6: stages[0].type: expected one of",
                                                ":6: stages[0].plugin: is missing",
                                                ":7: stages[0].timeout: expected a duration",
                                                ":8: stages[0].retry.on[1]: OPERATOR is never"};
        CPPUNIT_ASSERT_EQUAL_MESSAGE(all(parsed.problems), expected.size(), parsed.problems.size());
        for (std::size_t i = 0; i < expected.size(); ++i)
            CPPUNIT_ASSERT_MESSAGE(expected[i], parsed.problems[i].describe().find(expected[i]) !=
                                                    std::string::npos);
    }

    void testRefusesUnreadableFiles()
    {
        auto parsed = parseService(folder().path() / "none.yaml");
        CPPUNIT_ASSERT_EQUAL((folder().path() / "none.yaml").string() +
                                 ": cannot be opened: No such file or directory\n",
                             all(parsed.problems));
        const auto fifo = folder().path() / "fifo.yaml";
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo(fifo.c_str(), 0600));
        CPPUNIT_ASSERT(all(parseService(fifo).problems).find("is no regular file") !=
                       std::string::npos);
        CPPUNIT_ASSERT(all(parseService(folder().path()).problems).find("is no regular file") !=
                       std::string::npos);
        check("name: " + std::string(300'000, 'x'), ": longer than 262144 bytes");
    }

    void testChecksPluginsWithLines()
    {
        const PluginRegistry registry = demoRegistry();
        const auto parsed = service("name: a\nstages:\n"
                                    "  - type: BUILD\n    plugin: demo\n"
                                    "  - type: BUILD\n    plugin: demo\n    with:\n"
                                    "      command: x\n      count: y\n      cuont: 5\n"
                                    "  - type: BUILD\n    plugin: dmo\n");
        CPPUNIT_ASSERT_EQUAL(std::string(), all(parsed.problems));
        const auto problems =
            checkPlugins(parsed.service.pipeline, registry, "a.yaml", parsed.places);
        CPPUNIT_ASSERT_EQUAL(
            std::string("a.yaml:3: stages[0].with.command: the plugin 'demo' requires it\n"
                        "a.yaml:9: stages[1].with.count: expected a number, found text\n"
                        "a.yaml:10: stages[1].with.cuont: the plugin 'demo' has no such setting, "
                        "did you mean 'count'?\n"
                        "a.yaml:12: stages[2].plugin: there is no plugin 'dmo', did you mean "
                        "'demo'?\n"),
            all(problems));
        const auto inlined = checkPlugins(parsed.service.pipeline, registry);
        CPPUNIT_ASSERT_EQUAL(std::string("stages[0].with.command: the plugin 'demo' requires it"),
                             inlined.at(0).describe());
    }

    void testRequiresRepositoryForDefaultFrom()
    {
        const PluginRegistry registry = demoRegistry();
        PipelineSpec spec;
        spec.stages.emplace_back().plugin = "source";
        CPPUNIT_ASSERT_EQUAL(std::string("stages[0].with.repository: the plugin 'source' requires "
                                         "it, and the pipeline has no repository\n"),
                             all(checkPlugins(spec, registry)));
        spec.repository = "/srv/x";
        CPPUNIT_ASSERT(checkPlugins(spec, registry).empty());
        spec.repository.clear();
        spec.stages[0].with["repository"] = {Setting::Kind::String, "/srv/y"};
        CPPUNIT_ASSERT(checkPlugins(spec, registry).empty());
    }

    void testRefusesASecretAsAnArgument()
    {
        // Symptom: `${TOK}` in a plugin's run was an empty argument. Cause: secrets come to the stage past the
        // agent's environment. Bound: any user could read the argument, so it is refused, not filled in.
        folder().write("plugins/login/plugin.yaml", "name: login\nrun: [a, '${TOK}']\n");
        const PluginRegistry registry = demoRegistry();
        const std::string stages = "stages:\n  - { type: BUILD, plugin: login }\n";
        const auto refused = service("name: a\nsecrets: [TOK]\n" + stages);
        const auto told =
            checkPlugins(refused.service.pipeline, registry, "a.yaml", refused.places);
        CPPUNIT_ASSERT(all(told).starts_with(
            "a.yaml:4: stages[0].plugin: the plugin 'login' has ${TOK} in its run"));
        const auto other = service("name: a\nsecrets: [TOKEN]\nenv: { TOK: open }\n" + stages);
        CPPUNIT_ASSERT_EQUAL(std::string(), all(checkPlugins(other.service.pipeline, registry)));
    }

private:
    static ParsedService example(const std::string& name)
    {
        return parseService(std::filesystem::path(STAGE_AGENT_SOURCE_DIR) / "conf/services.d" /
                            name);
    }

    PluginRegistry demoRegistry()
    {
        folder().write("plugins/demo/plugin.yaml",
                       "name: demo\nrun: [a]\nsettings:\n"
                       "  command: {type: string, required: true}\n  count: {type: number}\n");
        folder().write("plugins/source/plugin.yaml",
                       "name: source\nrun: [a]\nsettings:\n"
                       "  repository: {type: string, required: true, default_from: repository}\n");
        ::chmod((folder().path() / "plugins").c_str(), 0755);
        PluginRegistry registry;
        std::vector<Problem> problems;
        registry.load(folder().path() / "plugins", problems);
        CPPUNIT_ASSERT_EQUAL(std::string(), all(problems));
        return registry;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PipelineParserTest);

} // namespace agent
