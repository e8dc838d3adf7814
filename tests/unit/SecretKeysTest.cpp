#include "agent/plugin/PluginRegistry.h"
#include "agent/run/Pipeline.h"
#include "agent/run/PipelineParser.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

/// The keys of a service that say who gets which secret: docs/secrets.md.
class SecretKeysTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SecretKeysTest);
    CPPUNIT_TEST(testReadsGrantsGitAndForks);
    CPPUNIT_TEST(testTellsWrongGrants);
    CPPUNIT_TEST(testTellsWrongSecretsOfStages);
    CPPUNIT_TEST(testTellsWrongGitCredentials);
    CPPUNIT_TEST(testAnInlinePipelineHasNoneOfThem);
    CPPUNIT_TEST(testAllAreStoredWithTheRun);
    CPPUNIT_TEST(testAllSecretsAreThoseOfAnyStage);
    CPPUNIT_TEST(testRefusesASecretOfAStageAsAnArgument);
    CPPUNIT_TEST_SUITE_END();

public:
    void testReadsGrantsGitAndForks()
    {
        const auto parsed = service(whole);
        CPPUNIT_ASSERT_EQUAL(std::string(), all(parsed.problems));
        CPPUNIT_ASSERT(parsed.service.forksAllowed);
        const PipelineSpec& spec = parsed.service.pipeline;
        CPPUNIT_ASSERT(spec.grants.at("DEPLOY") ==
                       (SecretGrant{.types = {StageType::DeployStaging, StageType::DeployProd},
                                    .branches = {"main", "release/*"}}));
        CPPUNIT_ASSERT(spec.grants.at("NPM") == (SecretGrant{.branches = {"*"}}));
        CPPUNIT_ASSERT(spec.stages[1].secrets == std::vector<std::string>{"DEPLOY"});
        CPPUNIT_ASSERT(spec.git == (GitCredential{.token = "READ", .user = "git"}));
        const auto ssh =
            service(start +
                    "repository: git@git.example.org:acme/a.git\n"
                    "git:\n  ssh_key: KEY\n  known_hosts: |\n    git.example.org x y\n" +
                    stage());
        CPPUNIT_ASSERT_EQUAL(std::string(), all(ssh.problems));
        CPPUNIT_ASSERT(ssh.service.pipeline.git ==
                       (GitCredential{.sshKey = "KEY", .knownHosts = "git.example.org x y\n"}));
        CPPUNIT_ASSERT(!service(start + stage()).service.forksAllowed);
        for (const char* local : {"http://127.0.0.1:8080/a", "http://localhost/a"})
            CPPUNIT_ASSERT_EQUAL(std::string(), all(service(start + "repository: '" + local +
                                                            "'\ngit: {token: READ}\n" + stage())
                                                        .problems));
    }

    void testTellsWrongGrants()
    {
        check("grants: [A]", ":2: grants: expected a map");
        check("grants: {CI: {}}", ":2: grants.CI: is set by the agent itself");
        check("grants: {A: [BUILD]}", ":2: grants.A: expected a map");
        check("grants: {A: {type: [BUILD]}}", ":2: grants.A.type: unknown key");
        check("grants: {A: {types: [LINT]}}", ":2: grants.A.types[0]: expected one of PREPARE");
        check("grants: {A: {types: []}}", ":2: grants.A.types: must hold a type");
        check("grants: {A: {branches: []}}", ":2: grants.A.branches: must hold a pattern");
        check("forks: true", ":2: forks: expected allow");
    }

    void testTellsWrongSecretsOfStages()
    {
        check("secrets: [A]", ":4: stages[0].secrets[0]: is given to every stage", "A");
        check("env: {A: x}", ":4: stages[0].secrets[0]: is in env too", "A");
        check("branch: main", ":4: stages[0].secrets[1]: is here twice", "A, A");
        check("branch: main", ":4: stages[0].secrets[0]: must be letters", "../A");
        check("grants: {A: {types: [DEPLOY_PROD]}}",
              ":4: stages[0].secrets[0]: is granted to stages of the types DEPLOY_PROD only", "A");
    }

    void testTellsWrongGitCredentials()
    {
        const std::string https = "repository: https://git.example.org/a.git\ngit: ";
        const std::string ssh = "repository: ssh://git@git.example.org/a.git\ngit: ";
        check("git: {token: A}", ":2: git: needs the key repository");
        check(https + "{}", ":3: git: needs either token");
        check(https + "{token: A, ssh_key: B, known_hosts: c}", ":3: git: needs either token");
        check(https + "{password: A}", ":3: git.password: unknown key");
        check(https + "{token: ../a}", ":3: git.token: must be letters");
        check(https + "{token: A, user: \"a\\nb\"}", "git.user");
        check(https + "{token: A, known_hosts: x}", "known_hosts goes with ssh_key");
        check(https + "{ssh_key: A, known_hosts: x}", ":3: git: an ssh_key is for an ssh");
        check(ssh + "{ssh_key: A}", ":3: git: ssh_key needs known_hosts");
        check(ssh + "{ssh_key: A, known_hosts: x, user: y}", ":3: git.user: goes with token");
        check(ssh + "{token: A}", ":3: git: a token is for an https repository");
        for (const char* clear : {"http://git.example.org/a", "http://127.0.0.1@git.example.org/a",
                                  "http://localhost.example.org/a", "http://127.example.org/a",
                                  "git://localhost/a", "/srv/a"})
            check(std::string("repository: ") + clear + "\ngit: {token: A}",
                  ":3: git: a token is for an https repository");
        check("repository: https://me:pw@git.example.org/a\ngit: {token: A}",
              ":3: git: the repository's URL has a password already");
    }

    void testAnInlinePipelineHasNoneOfThem()
    {
        for (const char* key : {"secrets: [A]", "grants: {A: {}}", "git: {token: A}"})
        {
            std::vector<Problem> problems;
            const auto root = parseYaml(std::string(key) + "\n" + stage(), "", problems);
            const auto parsed = parsePipeline(root, problems);
            CPPUNIT_ASSERT_MESSAGE(
                key + all(parsed.problems),
                all(parsed.problems).find("an inline pipeline may not name secrets") !=
                    std::string::npos);
            CPPUNIT_ASSERT(allSecrets(parsed.spec).empty());
        }
        std::vector<Problem> problems;
        const auto root = parseYaml("x-fork: {base: main}\nstages: [{type: OTHER, plugin: p, "
                                    "secrets: [A]}]\n",
                                    "", problems);
        const auto parsed = parsePipeline(root, problems);
        CPPUNIT_ASSERT(all(parsed.problems).find("stages[0].secrets: an inline pipeline") !=
                       std::string::npos);
        CPPUNIT_ASSERT(allSecrets(parsed.spec).empty() && !parsed.spec.fork);
    }

    void testAllAreStoredWithTheRun()
    {
        PipelineSpec spec = service(whole).service.pipeline;
        CPPUNIT_ASSERT(Pipeline::fromJson(Pipeline(spec).json()).spec() == spec);
        spec.fork = Fork{};
        CPPUNIT_ASSERT(Pipeline::fromJson(Pipeline(spec).json()).spec() == spec);
        spec.fork = Fork{.base = "release/1"};
        spec.git = {.sshKey = "KEY", .knownHosts = "a\nb\n"};
        CPPUNIT_ASSERT(Pipeline::fromJson(Pipeline(spec).json()).spec() == spec);
    }

    void testAllSecretsAreThoseOfAnyStage()
    {
        const PipelineSpec spec = service(whole).service.pipeline;
        CPPUNIT_ASSERT((allSecrets(spec) == std::vector<std::string>{"NPM", "DEPLOY", "READ"}));
    }

    /// What a plugin of a stage shows in its arguments may not be a secret of that stage either.
    void testRefusesASecretOfAStageAsAnArgument()
    {
        _folder.write("plugins/call/plugin.yaml", "name: call\nrun: [./call, '${TOKEN}']\n");
        PluginRegistry registry;
        std::vector<Problem> problems;
        registry.load(_folder.path() / "plugins", problems);
        PipelineSpec spec;
        spec.stages = {{.plugin = "call"}};
        CPPUNIT_ASSERT(checkPlugins(spec, registry).empty());
        spec.stages.front().secrets = {"TOKEN"};
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), checkPlugins(spec, registry).size());
    }

private:
    static inline const std::string start = "name: a\n";
    static inline const std::string whole =
        "name: a\nrepository: https://git.example.org/a.git\nsecrets: [NPM]\nforks: allow\n"
        "grants:\n  DEPLOY: { types: [DEPLOY_STAGING, DEPLOY_PROD], branches: [main, release/*] }\n"
        "  NPM: { branches: ['*'] }\ngit: { token: READ }\n"
        "stages:\n- { type: BUILD, plugin: p }\n"
        "- { type: DEPLOY_PROD, plugin: p, secrets: [DEPLOY] }\n";

    static std::string stage(const std::string& secrets = "")
    {
        return "stages:\n- {type: BUILD, plugin: p" +
               (secrets.empty() ? "" : ", secrets: [" + secrets + "]") + "}\n";
    }

    ParsedService service(const std::string& text)
    {
        return parseService(_folder.write("a.yaml", text));
    }

    static std::string all(const std::vector<Problem>& problems)
    {
        std::string text;
        for (const auto& problem : problems)
            text += problem.describe() + "\n";
        return text;
    }

    void check(const std::string& keys, const std::string& wanted, const std::string& secrets = "")
    {
        const std::string found = all(service(start + keys + "\n" + stage(secrets)).problems);
        CPPUNIT_ASSERT_MESSAGE(wanted + " not in " + found,
                               found.find("a.yaml" + (wanted[0] == ':' ? wanted : "")) !=
                                       std::string::npos &&
                                   found.find(wanted) != std::string::npos);
    }

    FilesFolder _folder;
};

CPPUNIT_TEST_SUITE_REGISTRATION(SecretKeysTest);

} // namespace agent
