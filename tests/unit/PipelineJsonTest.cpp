#include "agent/run/OpenPipelines.h"
#include "agent/run/PipelineParser.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>
#include <random>
#include <stdexcept>

namespace agent
{

class PipelineJsonTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(PipelineJsonTest);
    CPPUNIT_TEST(testJsonRoundTripOfStrings);
    CPPUNIT_TEST(testJsonRoundTripOfRandomPipelines);
    CPPUNIT_TEST(testJsonRoundTripOfWhatYamlGave);
    CPPUNIT_TEST(testStoredJsonIsHeldToItsShapeOnly);
    CPPUNIT_TEST(testWhatIsWrittenIsNeverTooLongToBeRead);
    CPPUNIT_TEST(testParsesTheRecordOnlyForWhatWasNotHandedOn);
    CPPUNIT_TEST(testALongQueueIsNotKeptInMemory);
    CPPUNIT_TEST_SUITE_END();

public:
    void testJsonRoundTripOfStrings()
    {
        for (const std::string& text : hardStrings())
        {
            PipelineSpec spec;
            spec.repository = text;
            spec.branch = text;
            spec.env = {{"A", text}};
            StageSpec& stage = spec.stages.emplace_back();
            stage.plugin = "p";
            stage.with = {{"s", {Setting::Kind::String, text}}};
            const Pipeline pipeline(spec);
            CPPUNIT_ASSERT_MESSAGE(pipeline.json(),
                                   Pipeline::fromJson(pipeline.json()).spec() == spec);
        }
    }

    void testJsonRoundTripOfRandomPipelines()
    {
        std::mt19937 random(11);
        for (int round = 0; round < 500; ++round)
        {
            const PipelineSpec spec = randomPipeline(random);
            const std::string json = Pipeline(spec).json();
            const Pipeline again = Pipeline::fromJson(json);
            CPPUNIT_ASSERT_MESSAGE(json, again.spec() == spec);
            CPPUNIT_ASSERT_EQUAL(json, again.json());
            CPPUNIT_ASSERT_EQUAL(json, Pipeline(again.spec()).json());
        }
    }

    void testJsonRoundTripOfWhatYamlGave()
    {
        std::vector<Problem> problems;
        const auto root = parseYaml(
            "env: {A: 007, B: 1e3, C: true, D: '', E: 1e999}\n"
            "stages:\n- type: BUILD\n  plugin: p\n  with:\n"
            "    a: 007\n    b: 1e3\n    c: true\n    d: ''\n    e: 'true'\n"
            "    f: 1e999\n    g: [007, 1e3, 1e999, {x: ~, \"\xc3\xbc\": \"\\\"\"}]\n"
            "    h: {}\n    i: -0\n    j: 0.10\n    k: \"1\"\n    l: 12345678901234567890\n",
            "", problems);
        const auto parsed = parsePipeline(root, problems);
        CPPUNIT_ASSERT_EQUAL(
            std::string(), parsed.problems.empty() ? std::string() : parsed.problems[0].describe());
        CPPUNIT_ASSERT(Pipeline::fromJson(Pipeline(parsed.spec).json()).spec() == parsed.spec);
        const auto& with = parsed.spec.stages[0].with;
        CPPUNIT_ASSERT_EQUAL(
            std::string("[\"007\",1e3,\"1e999\",{\"x\":null,\"\xc3\xbc\":\"\\\"\"}]"),
            with.at("g").text);
        CPPUNIT_ASSERT(with.at("b").kind == Setting::Kind::Number);
        CPPUNIT_ASSERT(with.at("k").kind == Setting::Kind::String);
    }

    void testStoredJsonIsHeldToItsShapeOnly()
    {
        PipelineSpec spec;
        spec.repository = "no longer allowed";
        spec.branch = "a b";
        spec.env = {{"CI", "x"}, {"a-b", "y"}};
        spec.secrets = {"CI", "CI"};
        spec.isolation = Isolation::None;
        spec.network = Network::None;
        spec.binds = {{.path = "/a b"}, {.path = "/c", .writable = true}};
        CPPUNIT_ASSERT(Pipeline::fromJson(Pipeline(spec).json()).spec() == spec);

        for (const char* wrong : {"", "{", "[]", "{}", "{\"stages\":1}", "{\"stages\":[{}]}",
                                  "{\"stages\":[],\"x\":1}"})
            CPPUNIT_ASSERT_THROW_MESSAGE(wrong, Pipeline::fromJson(wrong), std::runtime_error);
    }

    /// 400,000 variables are read again; what is over the limit of bytes is refused when it is made.
    void testWhatIsWrittenIsNeverTooLongToBeRead()
    {
        PipelineSpec spec;
        for (int i = 0; i < 400'000; ++i)
            spec.env["A" + std::to_string(i)] = "";
        CPPUNIT_ASSERT(Pipeline::fromJson(Pipeline(spec).json()).spec() == spec);
        spec.env["LONG"] = std::string(8 << 20, 'x');
        CPPUNIT_ASSERT_THROW(Pipeline{spec}, std::runtime_error);
    }

    void testParsesTheRecordOnlyForWhatWasNotHandedOn()
    {
        PipelineSpec spec;
        spec.branch = "main";
        Run run;
        run.id = "1";
        run.pipeline = "unreadable";
        OpenPipelines pipelines;
        CPPUNIT_ASSERT_THROW(pipelines.of(run), std::runtime_error);
        pipelines.add(run.id, Pipeline(spec));
        CPPUNIT_ASSERT_EQUAL(std::string("main"), pipelines.of(run).spec().branch);
        CPPUNIT_ASSERT_EQUAL(std::string("main"), pipelines.peek(run).spec().branch);
        pipelines.forget(run.id);
        CPPUNIT_ASSERT_THROW(pipelines.of(run), std::runtime_error);
        run.pipeline = R"({"branch":"next","stages":[]})";
        CPPUNIT_ASSERT_EQUAL(std::string("next"), pipelines.of(run).spec().branch);
    }

    void testALongQueueIsNotKeptInMemory()
    {
        PipelineSpec handedOn;
        handedOn.branch = "handed-on";
        OpenPipelines pipelines;
        for (int i = 0; i < 2'000; ++i)
            pipelines.add(std::to_string(i), Pipeline(handedOn));
        int kept = 0;
        for (int i = 0; i < 2'000; ++i)
        {
            Run run;
            run.id = std::to_string(i);
            run.pipeline = R"({"branch":"recorded","stages":[]})";
            kept += pipelines.peek(run).spec().branch == "handed-on" ? 1 : 0;
        }
        CPPUNIT_ASSERT_EQUAL(500, kept);
    }

private:
    static const std::vector<std::string>& hardStrings()
    {
        static const std::vector<std::string> strings{"",
                                                      "007",
                                                      "true",
                                                      "false",
                                                      "null",
                                                      "~",
                                                      "1e3",
                                                      "1e999",
                                                      "-0",
                                                      "0x1f",
                                                      "yes",
                                                      " ",
                                                      "\n",
                                                      "a\nb\n",
                                                      "\t\r\n",
                                                      "\"",
                                                      "'",
                                                      "\\",
                                                      "\\n",
                                                      "\"quoted\"",
                                                      "{}",
                                                      "[1]",
                                                      "# no comment",
                                                      "a: b",
                                                      "- a",
                                                      "&a",
                                                      "*a",
                                                      "!tag",
                                                      "%",
                                                      "@",
                                                      "`",
                                                      "${HOME}",
                                                      "$(x)",
                                                      "\xc3\xbc",
                                                      "\xf0\x9f\x98\x80",
                                                      "\xe2\x80\xa8",
                                                      "</script>",
                                                      "/",
                                                      std::string(70'000, 'x')};
        return strings;
    }

    static PipelineSpec randomPipeline(std::mt19937& random)
    {
        const auto pick = [&](std::size_t below) { return static_cast<int>(random() % below); };
        const auto text = [&] { return hardStrings()[random() % (hardStrings().size() - 1)]; };
        const auto maybe = [&](std::int64_t least) -> std::optional<std::int64_t>
        {
            if (random() % 2 == 0)
                return std::nullopt;
            return least + static_cast<std::int64_t>(random() % 400'000'000);
        };
        const std::vector<Setting> settings{{Setting::Kind::Number, "1e3"},
                                            {Setting::Kind::Number, "-0.10"},
                                            {Setting::Kind::Boolean, "true"},
                                            {Setting::Kind::Boolean, "false"},
                                            {Setting::Kind::List, "[1,\"1\",null,{\"a\":[]}]"},
                                            {Setting::Kind::Map, "{\"b\":1,\"a\":\"\\n\"}"}};
        PipelineSpec spec;
        spec.repository = text();
        spec.branch = text();
        spec.supersede = pick(2) == 0;
        for (int i = pick(4); i > 0; --i)
            spec.env["E" + std::to_string(i)] = text();
        for (int i = pick(3); i > 0; --i)
            spec.secrets.push_back("S" + std::to_string(i));
        for (int i = pick(3); i > 0; --i)
            spec.grants["G" + std::to_string(i)] = {
                .types = pick(2) == 0 ? std::vector<StageType>{} : std::vector{StageType::Build},
                .branches = pick(2) == 0 ? std::vector<std::string>{}
                                         : std::vector<std::string>{"main", "v*"}};
        if (pick(2) == 0)
            spec.git = pick(2) == 0 ? GitCredential{.token = "T", .user = "\"u\" \xc3\xbc"}
                                    : GitCredential{.sshKey = "K", .knownHosts = "a\nb\n"};
        spec.secretless = pick(2) == 0;
        if (pick(2) == 0)
            spec.fork = Fork{.base = pick(2) == 0 ? "" : "main"};
        for (int i = 1 + pick(5); i > 0; --i)
        {
            StageSpec& stage = spec.stages.emplace_back();
            stage.type = static_cast<StageType>(pick(8));
            stage.name = pick(2) == 0 ? "" : "Name \"" + std::to_string(i) + "\" \xc3\xbc";
            stage.plugin = "p" + std::to_string(i);
            for (int j = pick(4); j > 0; --j)
                stage.with["k" + std::to_string(j)] = pick(2) == 0
                                                          ? Setting{Setting::Kind::String, text()}
                                                          : settings[random() % settings.size()];
            stage.timeoutMs = maybe(1);
            stage.silenceMs = maybe(1);
            stage.graceMs = maybe(0);
            stage.stuckAfterMs = maybe(1);
            stage.output = pick(2) == 0 ? StageOutput::Merged : StageOutput::Separate;
            if (pick(2) == 0)
                stage.secrets = {"OWN"};
            if (pick(2) == 0)
                stage.retry = {.attempts = 1 + pick(10),
                               .delayMs = pick(100'000),
                               .onExitCodes = pick(2) == 0 ? std::vector<int>{}
                                                           : std::vector{1 + pick(255), 7},
                               .onCauses = pick(2) == 0 ? std::vector<Cause>{}
                                                        : std::vector{Cause::Exit, Cause::Oom},
                               .onLoss = pick(2) == 0};
            if (pick(2) == 0)
                stage.limits = {.memoryBytes = pick(1'000'000) * std::int64_t{1'000'000},
                                .cpuPercent = pick(102'400),
                                .pids = pick(5'000)};
            if (pick(2) == 0)
                stage.when = {.branches = pick(2) == 0 ? std::vector<std::string>{}
                                                       : std::vector<std::string>{"rel*\"/*"},
                              .triggers = pick(2) == 0
                                              ? std::vector<TriggerType>{}
                                              : std::vector{TriggerType::PrSync, TriggerType::Main},
                              .run = static_cast<RunsAfter>(pick(3))};
            if (pick(2) == 0)
                stage.approval = {.required = pick(2) == 0,
                                  .expiresMs = maybe(1),
                                  .by = pick(2) == 0
                                            ? std::vector<std::string>{}
                                            : std::vector<std::string>{"admin", "Ada \xc3\xbc"}};
            for (int j = pick(3); j > 0; --j)
            {
                stage.artifacts.paths.push_back("dist/**/\"" + std::to_string(j));
                stage.caches.push_back({.key = "k" + std::to_string(j), .paths = {"~/a", "\"b"}});
                stage.needs.push_back({.service = "lib",
                                       .branch = pick(2) == 0 ? "" : "rel\"",
                                       .artifacts = "dist",
                                       .to = "v" + std::to_string(j),
                                       .optional = pick(2) == 0});
            }
            if (!stage.artifacts.paths.empty() && pick(2) == 0)
            {
                stage.artifacts.name = pick(2) == 0 ? "" : "dist";
                stage.artifacts.keepMs = maybe(0);
                stage.artifacts.when = static_cast<RunsAfter>(pick(3));
                stage.artifacts.required = pick(2) == 0;
            }
            if (pick(2) == 0)
                stage.reports.junit = {"reports/**/*.xml"};
        }
        return spec;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PipelineJsonTest);

} // namespace agent
