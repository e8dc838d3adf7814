#include "agent/run/OrderBuilder.h"

#include "tests/support/FilesFolder.h"
#include "tests/support/Variable.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <fstream>

namespace agent
{

namespace
{

using Environment = std::map<std::string, std::string>;

const std::string defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Everything that an order is made of, ready for a test to change.
struct Ingredients
{
    Run run{.id = "run-1", .commitHash = "0123abc", .serviceName = "shop", .branch = "topic"};
    Stage stage{.id = "stage-1", .runId = "run-1", .type = StageType::UnitTest, .attempt = 2};
    StageSpec spec{.type = StageType::UnitTest, .plugin = "check"};
    PipelineSpec pipeline{.repository = "https://git.example.org/shop.git", .branch = "main"};
    Plugin plugin{.name = "check",
                  .kind = Plugin::Kind::Program,
                  .run = {"./check", "${PLUGIN_LEVEL}", "${PLUGIN_NONE}", "plain ${BRANCH}"},
                  .folder = "/opt/plugins/check",
                  .sha256 = "5ac1",
                  .identity = "1d"};
    Environment outputs;
    OrderDefaults defaults{.timeoutMs = 3'600'000,
                           .graceMs = 10'000,
                           .logMaxBytes = 1 << 20,
                           .pluginHost = "/usr/lib/stage-agent/stage-plugin-host",
                           .mirrors = "/var/cache/mirrors",
                           .secrets = "/etc/stage-agent/secrets",
                           .inherited = {.home = "/var/lib/stage-agent/home"}};

    [[nodiscard]] Order order() const
    {
        return buildOrder({.run = run,
                           .stage = stage,
                           .spec = spec,
                           .pipeline = pipeline,
                           .plugin = plugin,
                           .outputs = outputs,
                           .workspace = "/var/lib/ws",
                           .attemptFolder = "/var/lib/attempts/stage-1/2"},
                          defaults);
    }

    /// What the agent itself says of the stage.
    [[nodiscard]] static Environment said()
    {
        return {{"CI", "true"},
                {"STAGE_ID", "stage-1"},
                {"STAGE_TYPE", "UNIT_TEST"},
                {"STAGE_ATTEMPT", "2"},
                {"RUN_ID", "run-1"},
                {"SERVICE_NAME", "shop"},
                {"COMMIT_HASH", "0123abc"},
                {"BRANCH", "topic"},
                {"WORKSPACE", "/var/lib/ws"},
                {"STAGE_OUTPUTS", "/var/lib/attempts/stage-1/2/outputs.json"},
                {"STAGE_MASK", "/var/lib/attempts/stage-1/2/mask"}};
    }

    /// The same with what every process needs.
    [[nodiscard]] Environment allowed() const
    {
        Environment all = said();
        all["PATH"] = defaultPath;
        all["HOME"] = defaults.inherited.home;
        all["LANG"] = "C.UTF-8";
        return all;
    }

    /// The agent's own in `folder`, or another one of its name.
    void becomeGit(const std::filesystem::path& folder, bool ours)
    {
        becomeLibrary();
        defaults.pluginHost = folder / "stage-plugin-host";
        plugin.name = "git";
        plugin.folder = folder / (ours ? "plugins/git" : "elsewhere/git");
        std::filesystem::create_directories(plugin.folder);
    }

    void becomeLibrary()
    {
        plugin.kind = Plugin::Kind::Library;
        plugin.run.clear();
        plugin.library = "/opt/plugins/check/check.so";
    }
};

std::string text(const Environment& env)
{
    std::string lines;
    for (const auto& [name, value] : env)
        lines.append(name).append("=").append(value).append("\n");
    return lines;
}

void assertEnv(const Environment& expected, const Environment& actual)
{
    CPPUNIT_ASSERT_EQUAL(text(expected), text(actual));
}

} // namespace

class OrderBuilderTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(OrderBuilderTest);
    CPPUNIT_TEST(testTheEnvironmentIsExactlyWhatIsPromised);
    CPPUNIT_TEST(testTheEnvironmentOfALibraryIsThatOfAProgram);
    CPPUNIT_TEST(testTheServicesEnvIsThere);
    CPPUNIT_TEST(testAServiceCannotOverrideWhatTheAgentSays);
    CPPUNIT_TEST(testAServiceCannotOverrideOutputsAndSettings);
    CPPUNIT_TEST(testAServiceMayChooseThePathOfAProgram);
    CPPUNIT_TEST(testAServiceCannotSteerTheHostOfLibraries);
    CPPUNIT_TEST(testOutputsHaveTheirNames);
    CPPUNIT_TEST(testSettingsComeFromTheStageThenTheRunThenTheManifest);
    CPPUNIT_TEST(testARefIsTheCommitThenTheRunsBranchThenTheServices);
    CPPUNIT_TEST(testArgvOfAProgram);
    CPPUNIT_TEST(testArgvOfALibrary);
    CPPUNIT_TEST(testOnlyTheAgentsGitPluginWorksOutside);
    CPPUNIT_TEST(testTheAgentsGitPluginAloneGetsTheCredential);
    CPPUNIT_TEST(testTheGitPluginIsToldOfForksAndBranches);
    CPPUNIT_TEST(testCommitIsDescribedByTheClientThenByGit);
    CPPUNIT_TEST(testTheStagesTimesBeatTheDefaults);
    CPPUNIT_TEST(testSaysWhatAndWhere);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTheEnvironmentIsExactlyWhatIsPromised()
    {
        const Variable token("STAGE_AGENT_TOKEN", "of the daemon");
        const Variable preload("LD_BIND_NOW", "1");
        const Ingredients given;
        assertEnv(given.allowed(), given.order().env);
    }

    void testTheEnvironmentOfALibraryIsThatOfAProgram()
    {
        Ingredients given;
        given.becomeLibrary();
        assertEnv(given.allowed(), given.order().env);
    }

    void testTheServicesEnvIsThere()
    {
        Ingredients given;
        given.pipeline.env = {{"NODE_ENV", "test"}, {"EMPTY", ""}, {"LANG", "de_DE.UTF-8"}};
        auto expected = given.allowed();
        expected["NODE_ENV"] = "test";
        expected["EMPTY"] = "";
        expected["LANG"] = "de_DE.UTF-8";
        assertEnv(expected, given.order().env);
    }

    void testAServiceCannotOverrideWhatTheAgentSays()
    {
        Ingredients given;
        for (const auto& [name, value] : Ingredients::said())
            given.pipeline.env[name] = "forged";
        assertEnv(given.allowed(), given.order().env);
    }

    void testAServiceCannotOverrideOutputsAndSettings()
    {
        Ingredients given;
        given.pipeline.env = {{"OUTPUT_TAG", "forged"}, {"PLUGIN_LEVEL", "forged"}};
        given.outputs = {{"tag", "1.2"}};
        given.plugin.settings = {{.name = "level", .byDefault = Setting{.text = "3"}}};
        const auto env = given.order().env;
        CPPUNIT_ASSERT_EQUAL(std::string("1.2"), env.at("OUTPUT_TAG"));
        CPPUNIT_ASSERT_EQUAL(std::string("3"), env.at("PLUGIN_LEVEL"));
    }

    void testAServiceMayChooseThePathOfAProgram()
    {
        Ingredients given;
        given.pipeline.env = {
            {"PATH", "/opt/node/bin:/bin"}, {"HOME", "/srv/home"}, {"LD_LIBRARY_PATH", "/opt/lib"}};
        auto expected = given.allowed();
        expected.insert_or_assign("PATH", "/opt/node/bin:/bin");
        expected.insert_or_assign("HOME", "/srv/home");
        expected.insert_or_assign("LD_LIBRARY_PATH", "/opt/lib");
        assertEnv(expected, given.order().env);
    }

    /// stage-plugin-host is the agent's own: a pipeline's LD_PRELOAD would put code of its own into
    /// it, and a PATH or HOME another `git` or another ~/.gitconfig.
    void testAServiceCannotSteerTheHostOfLibraries()
    {
        Ingredients given;
        given.becomeLibrary();
        given.pipeline.env = {
            {"PATH", "/tmp/evil"},       {"HOME", "/tmp/evil"},     {"LD_PRELOAD", "/tmp/e.so"},
            {"LD_LIBRARY_PATH", "/tmp"}, {"LD_AUDIT", "/tmp/e.so"}, {"LD_", "x"},
            {"LDFLAGS", "-s"},           {"PATHS", "kept"},         {"HOMEPAGE", "kept as well"}};
        for (const char* loads :
             {"GCONV_PATH", "LOCPATH", "NLSPATH", "GLIBC_TUNABLES", "MALLOC_CHECK_", "OPENSSL_CONF",
              "OPENSSL_MODULES", "ASAN_OPTIONS"})
            given.pipeline.env[loads] = "/tmp/evil";
        auto expected = given.allowed();
        expected["LDFLAGS"] = "-s";
        expected["PATHS"] = "kept";
        expected["HOMEPAGE"] = "kept as well";
        assertEnv(expected, given.order().env);
    }

    void testOutputsHaveTheirNames()
    {
        Ingredients given;
        given.outputs = {{"tag", "1.2"}, {"image-name", "shop"}, {"a.b c", "x"}};
        auto expected = given.allowed();
        expected["OUTPUT_TAG"] = "1.2";
        expected["OUTPUT_IMAGE_NAME"] = "shop";
        expected["OUTPUT_A_B_C"] = "x";
        assertEnv(expected, given.order().env);
    }

    void testSettingsComeFromTheStageThenTheRunThenTheManifest()
    {
        Ingredients given;
        given.plugin.settings = {{.name = "given", .byDefault = Setting{.text = "default"}},
                                 {.name = "by-default", .byDefault = Setting{.text = "default"}},
                                 {.name = "repo", .defaultFrom = "repository"},
                                 {.name = "repo_given", .defaultFrom = "repository"},
                                 {.name = "unset"}};
        given.spec.with = {{"given", {.text = "of the stage"}},
                           {"repo_given", {.text = "/srv/other.git"}}};
        auto expected = given.allowed();
        expected["PLUGIN_GIVEN"] = "of the stage";
        expected["PLUGIN_BY_DEFAULT"] = "default";
        expected["PLUGIN_REPO"] = "https://git.example.org/shop.git";
        expected["PLUGIN_REPO_GIVEN"] = "/srv/other.git";
        assertEnv(expected, given.order().env);
    }

    void testARefIsTheCommitThenTheRunsBranchThenTheServices()
    {
        Ingredients given;
        given.plugin.settings = {{.name = "ref", .defaultFrom = "ref"}};
        CPPUNIT_ASSERT_EQUAL(std::string("0123abc"), given.order().env.at("PLUGIN_REF"));
        given.run.commitHash.clear();
        CPPUNIT_ASSERT_EQUAL(std::string("topic"), given.order().env.at("PLUGIN_REF"));
        given.run.branch.clear();
        const auto env = given.order().env;
        CPPUNIT_ASSERT_EQUAL(std::string("main"), env.at("PLUGIN_REF"));
        CPPUNIT_ASSERT_EQUAL(std::string("main"), env.at("BRANCH"));
        CPPUNIT_ASSERT_EQUAL(std::string(), env.at("COMMIT_HASH"));
    }

    /// No shell reads it: a variable is a whole element or none.
    void testArgvOfAProgram()
    {
        Ingredients given;
        given.plugin.settings = {{.name = "level"}};
        given.spec.with = {{"level", {.text = "a b; $(c)"}}};
        const std::vector<std::string> expected{"/opt/plugins/check/check", "a b; $(c)", "",
                                                "plain ${BRANCH}"};
        const Order order = given.order();
        CPPUNIT_ASSERT(expected == order.argv);
        CPPUNIT_ASSERT(!order.library);
    }

    void testArgvOfALibrary()
    {
        Ingredients given;
        given.becomeLibrary();
        const std::vector<std::string> expected{"/usr/lib/stage-agent/stage-plugin-host",
                                                "/opt/plugins/check/check.so",
                                                "/var/cache/mirrors/check"};
        const Order order = given.order();
        CPPUNIT_ASSERT(expected == order.argv);
        CPPUNIT_ASSERT(order.library);
    }

    void testOnlyTheAgentsGitPluginWorksOutside()
    {
        const FilesFolder files;
        Ingredients given;
        given.becomeLibrary();
        given.defaults.pluginHost = files.path() / "stage-plugin-host";
        given.defaults.gitConfig = "/etc/stage-agent/gitconfig";
        given.defaults.isolation.byDefault = Isolation::Sandbox;
        given.pipeline.env = {{"STAGE_AGENT_GIT_CONFIG", "/tmp/x"},
                              {"STAGE_AGENT_TRUSTED_MIRRORS", "0"},
                              {"HOME", "/tmp/home"}};
        const std::filesystem::path own = files.path() / "plugins/git";
        std::filesystem::create_directories(own);
        std::filesystem::create_directories(files.path() / "elsewhere/git");
        const auto order = [&](const std::string& name, const std::filesystem::path& folder)
        {
            given.plugin.name = name;
            given.plugin.folder = folder;
            return given.order();
        };
        const Order git = order("git", own);
        CPPUNIT_ASSERT(git.outside && git.sandbox);
        CPPUNIT_ASSERT_EQUAL(given.defaults.inherited.home, git.env.at("HOME"));
        CPPUNIT_ASSERT_EQUAL(std::string("/etc/stage-agent/gitconfig"),
                             git.env.at("STAGE_AGENT_GIT_CONFIG"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), git.env.at("STAGE_AGENT_TRUSTED_MIRRORS"));
        for (const Order& other : {order("git", files.path() / "elsewhere/git"),
                                   order("check", own), order("git", "/nowhere")})
        {
            CPPUNIT_ASSERT(!other.outside && other.sandbox);
            CPPUNIT_ASSERT(!other.env.contains("STAGE_AGENT_GIT_CONFIG"));
            CPPUNIT_ASSERT(!other.env.contains("STAGE_AGENT_TRUSTED_MIRRORS"));
            CPPUNIT_ASSERT_EQUAL(other.sandbox->home, other.env.at("HOME"));
        }
        given.defaults.isolation.noneAllowed = {"other"};
        CPPUNIT_ASSERT(!order("git", own).env.contains("STAGE_AGENT_TRUSTED_MIRRORS"));
        const auto again = orderFrom(toJson(git));
        CPPUNIT_ASSERT(again && again->outside);
    }

    /// And every stage masks it.
    void testTheAgentsGitPluginAloneGetsTheCredential()
    {
        const FilesFolder files;
        Ingredients given;
        given.pipeline.git = {.token = "READ", .user = "ada"};
        for (const bool ours : {true, false})
        {
            given.becomeGit(files.path(), ours);
            const Order order = given.order();
            CPPUNIT_ASSERT(order.secrets ==
                           (ours ? std::vector<std::string>{"READ"} : std::vector<std::string>{}));
            CPPUNIT_ASSERT_EQUAL(ours, order.env.contains("STAGE_AGENT_CREDENTIAL"));
            CPPUNIT_ASSERT(order.masks == std::vector<std::string>{"READ"});
        }
        given.becomeGit(files.path(), true);
        const Order token = given.order();
        CPPUNIT_ASSERT_EQUAL(std::string("READ"), token.env.at("STAGE_AGENT_CREDENTIAL"));
        CPPUNIT_ASSERT_EQUAL(std::string("ada"), token.env.at("STAGE_AGENT_CREDENTIAL_USER"));
        CPPUNIT_ASSERT_EQUAL(given.pipeline.repository, token.env.at("STAGE_AGENT_CREDENTIAL_FOR"));
        CPPUNIT_ASSERT(!token.env.contains("STAGE_AGENT_KNOWN_HOSTS"));
        given.pipeline.git = {.sshKey = "KEY", .knownHosts = "a b c\n"};
        const Order key = given.order();
        CPPUNIT_ASSERT_EQUAL(std::string("KEY"), key.env.at("STAGE_AGENT_CREDENTIAL"));
        CPPUNIT_ASSERT_EQUAL(std::string("a b c\n"), key.env.at("STAGE_AGENT_KNOWN_HOSTS"));
        CPPUNIT_ASSERT(!key.env.contains("STAGE_AGENT_CREDENTIAL_USER"));
    }

    void testTheGitPluginIsToldOfForksAndBranches()
    {
        const FilesFolder files;
        Ingredients given;
        given.becomeGit(files.path(), true);
        given.pipeline.secrets = {"TOKEN"};
        given.pipeline.grants["TOKEN"] = {.branches = {"topic"}};
        CPPUNIT_ASSERT_EQUAL(std::string("topic"),
                             given.order().env.at("STAGE_AGENT_BRANCH_OF_COMMIT"));
        given.spec.with["ref"] = {Setting::Kind::String, "v1"}; // the owner's own words
        CPPUNIT_ASSERT(!given.order().env.contains("STAGE_AGENT_BRANCH_OF_COMMIT"));
        CPPUNIT_ASSERT(!given.order().env.contains("STAGE_AGENT_FORK_OF"));
        given.pipeline.fork = Fork{};
        CPPUNIT_ASSERT_EQUAL(std::string("HEAD"), given.order().env.at("STAGE_AGENT_FORK_OF"));
        given.pipeline.fork = Fork{.base = "main"};
        CPPUNIT_ASSERT_EQUAL(std::string("main"), given.order().env.at("STAGE_AGENT_FORK_OF"));
        CPPUNIT_ASSERT(given.order().secrets.empty());
    }

    void testCommitIsDescribedByTheClientThenByGit()
    {
        const FilesFolder files;
        const auto take =
            [&](Run& run, Stage& stage, const std::string& message, const Environment& before = {})
        {
            std::ofstream(files.path() / files::outputs)
                << R"({"commitHash":")" << message.size() << R"(","commitMessage":")" << message
                << R"(","committer":"C )" << message << "\"}";
            takeOutputs(run, stage, before, files.path(), {}, files.path());
            return run.commitHash + " " + run.commitMessage + ", " + run.committer;
        };
        Run run{.id = "r"};
        Stage stage{.id = "s", .runId = "r", .plugin = "git"};
        CPPUNIT_ASSERT_EQUAL(std::string("3 one, C one"), take(run, stage, "one"));
        // The same stage again, of a branch that moved on.
        CPPUNIT_ASSERT_EQUAL(std::string("5 three, C three"), take(run, stage, "three"));
        // A second git stage; the last one counts.
        Stage second{.id = "t", .runId = "r", .plugin = "git"};
        CPPUNIT_ASSERT_EQUAL(std::string("2 xy, C xy"),
                             take(run, second, "xy", outputsFromJson(stage.outputs)));
        // What a client says stays, whenever it was said.
        run.commitMessage = "said";
        CPPUNIT_ASSERT_EQUAL(std::string("4 said, C four"), take(run, second, "four"));
        Stage shell{.id = "u", .runId = "r", .plugin = "shell"};
        CPPUNIT_ASSERT_EQUAL(std::string("4 said, C four"), take(run, shell, "x"));
    }

    void testTheStagesTimesBeatTheDefaults()
    {
        Ingredients given;
        Order order = given.order();
        CPPUNIT_ASSERT_EQUAL(std::int64_t(3'600'000), order.timeoutMs);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), order.silenceMs);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(10'000), order.graceMs);
        given.spec.timeoutMs = 1;
        given.spec.silenceMs = 2;
        given.spec.graceMs = 0;
        order = given.order();
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1), order.timeoutMs);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(2), order.silenceMs);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(0), order.graceMs);
    }

    void testSaysWhatAndWhere()
    {
        Ingredients given;
        given.pipeline.secrets = {"TOKEN"};
        given.spec.limits = {.memoryBytes = 1, .cpuPercent = 2, .pids = 3};
        const Order order = given.order();
        CPPUNIT_ASSERT_EQUAL(std::string("run-1"), order.runId);
        CPPUNIT_ASSERT_EQUAL(std::string("stage-1"), order.stageId);
        CPPUNIT_ASSERT_EQUAL(2, order.attempt);
        CPPUNIT_ASSERT_EQUAL(std::string("check"), order.plugin);
        CPPUNIT_ASSERT_EQUAL(std::string("5ac1"), order.pluginSha256);
        CPPUNIT_ASSERT_EQUAL(std::string("1d"), order.pluginIdentity);
        CPPUNIT_ASSERT_EQUAL(std::string("/var/lib/ws"), order.cwd);
        CPPUNIT_ASSERT_EQUAL(std::int64_t(1 << 20), order.logMaxBytes);
        CPPUNIT_ASSERT(std::vector<std::string>{"TOKEN"} == order.secrets);
        CPPUNIT_ASSERT(given.spec.limits == order.limits);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OrderBuilderTest);

} // namespace agent
