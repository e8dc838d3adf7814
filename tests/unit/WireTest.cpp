#include "agent/wire/Order.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <limits>

namespace agent
{

class WireTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(WireTest);
    CPPUNIT_TEST(testOrderSurvivesTheFile);
    CPPUNIT_TEST(testClaimSurvivesTheFile);
    CPPUNIT_TEST(testOutcomeSurvivesTheFile);
    CPPUNIT_TEST(testOutcomeWithoutOptionalKeysSurvives);
    CPPUNIT_TEST(testWhatIsHeldSurvivesTheFile);
    CPPUNIT_TEST(testLargeNumbersStayExact);
    CPPUNIT_TEST(testBytesThatAreNoUtf8Survive);
    CPPUNIT_TEST(testUnknownKeysAreIgnored);
    CPPUNIT_TEST(testNewerVersionIsRefusedWithBothVersions);
    CPPUNIT_TEST(testWhatFindsAStageIsReadInAnyVersion);
    CPPUNIT_TEST(testMissingKeyIsNamed);
    CPPUNIT_TEST(testWrongTypesAreRefused);
    CPPUNIT_TEST(testUnknownCauseIsRefused);
    CPPUNIT_TEST(testAnOutcomeWithAWrongChecksumIsRefused);
    CPPUNIT_TEST(testTornFilesAreRefused);
    CPPUNIT_TEST(testDeepNestingIsNoProblem);
    CPPUNIT_TEST(testNulInTextIsRefused);
    CPPUNIT_TEST_SUITE_END();

public:
    void testOrderSurvivesTheFile();
    void testClaimSurvivesTheFile();
    void testOutcomeSurvivesTheFile();
    void testOutcomeWithoutOptionalKeysSurvives();
    void testWhatIsHeldSurvivesTheFile();
    void testLargeNumbersStayExact();
    void testBytesThatAreNoUtf8Survive();
    void testUnknownKeysAreIgnored();
    void testNewerVersionIsRefusedWithBothVersions();
    void testWhatFindsAStageIsReadInAnyVersion();
    void testMissingKeyIsNamed();
    void testWrongTypesAreRefused();
    void testUnknownCauseIsRefused();
    void testAnOutcomeWithAWrongChecksumIsRefused();
    void testTornFilesAreRefused();
    void testDeepNestingIsNoProblem();
    void testNulInTextIsRefused();
};

CPPUNIT_TEST_SUITE_REGISTRATION(WireTest);

namespace
{

std::string replaced(std::string text, const std::string& from, const std::string& to)
{
    const std::size_t at = text.find(from);
    CPPUNIT_ASSERT_MESSAGE(from + " is not in " + text, at != std::string::npos);
    return text.replace(at, from.size(), to);
}

const Claim claim{
    .pid = 4711, .startTime = 99, .bootId = "boot", .startedAt = 1700000000123, .beganTicks = 101};

} // namespace

void WireTest::testOrderSurvivesTheFile()
{
    Order order;
    order.runId = "run";
    order.stageId = "stage";
    order.attempt = 3;
    order.plugin = "git";
    order.pluginSha256 = "abc";
    order.pluginIdentity = "def";
    order.library = true;
    order.argv = {"/bin/sh", "-c", "echo \"a\\b\"\n", ""};
    order.env = {{"A", "1"}, {"ÜMLAUT", "tab\there"}, {"EMPTY", ""}};
    order.secrets = {"TOKEN"};
    order.cwd = "/work space";
    order.timeoutMs = 1;
    order.silenceMs = 2;
    order.graceMs = 3;
    order.logMaxBytes = 4;
    order.cgroup = "/sys/fs/cgroup/x";
    order.limits = {.memoryBytes = 5, .cpuPercent = 6, .pids = 7};
    order.version = sandboxOrderVersion;
    order.sandbox =
        SandboxOrder{.program = "/usr/bin/bwrap",
                     .network = Network::None,
                     .home = "/run/home",
                     .hidden = {"/state", "/secrets"},
                     .binds = {{.path = "/dev/kvm"}, {.path = "/cache", .writable = true}},
                     .shown = {{.path = "/state/mirrors"}}};
    order.bootId = "boot";
    order.output = StageOutput::Merged;
    order.collect = CollectOrder{.program = "/lib/stage-collector",
                                 .store = "/state/artifacts",
                                 .name = "dist",
                                 .paths = {"dist/**"},
                                 .junit = {"a.xml"},
                                 .when = RunsAfter::Always,
                                 .required = true,
                                 .maxBytes = 8,
                                 .maxFiles = 9,
                                 .timeoutMs = 10};

    std::string why;
    const auto read = orderFrom(toJson(order), &why);
    CPPUNIT_ASSERT_MESSAGE(why, read.has_value());
    CPPUNIT_ASSERT_EQUAL(toJson(order), toJson(*read));
    CPPUNIT_ASSERT(read->env == order.env);
    CPPUNIT_ASSERT(read->argv == order.argv);
    CPPUNIT_ASSERT(read->library);
    CPPUNIT_ASSERT(read->limits == order.limits);
    CPPUNIT_ASSERT(read->sandbox->binds == order.sandbox->binds);
    CPPUNIT_ASSERT(read->sandbox->hidden == order.sandbox->hidden);
    CPPUNIT_ASSERT_EQUAL(std::int64_t{3}, read->graceMs);
    CPPUNIT_ASSERT(read->output == StageOutput::Merged);

    // Of a daemon that knew of two pipes only.
    const auto earlier = orderFrom(replaced(toJson(order), ",\"output\":\"merged\"", ""), &why);
    CPPUNIT_ASSERT_MESSAGE(why, earlier.has_value());
    CPPUNIT_ASSERT(earlier->output == StageOutput::Separate);
    CPPUNIT_ASSERT(!orderFrom(replaced(toJson(order), "merged", "both"), &why));
    CPPUNIT_ASSERT_EQUAL(std::string("order.json has an unknown 'output'"), why);
}

void WireTest::testClaimSurvivesTheFile()
{
    const auto read = claimFrom(toJson(claim));
    CPPUNIT_ASSERT(read.has_value());
    CPPUNIT_ASSERT_EQUAL(4711, read->pid);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{99}, read->startTime);
    CPPUNIT_ASSERT_EQUAL(std::string("boot"), read->bootId);
    CPPUNIT_ASSERT_EQUAL(TimeMs{1700000000123}, read->startedAt);
}

void WireTest::testOutcomeSurvivesTheFile()
{
    Outcome outcome;
    outcome.cause = Cause::Oom;
    outcome.exitCode = 137;
    outcome.signal = 9;
    outcome.startedAt = 10;
    outcome.endedAt = 15;
    outcome.durationMs = 5;
    outcome.artifacts = KeptArtifacts{.files = 1, .bytes = 2, .manifest = "digest"};
    outcome.tests = ReportedTests{.total = 3, .failed = 2, .skipped = 1};
    outcome.message = "memory";
    outcome.containment = "cgroup";
    outcome.notes = {Cause::LogLimit, Cause::DiskFull};
    outcome.logBytes = 77;
    outcome.usage = {.cpuMs = 1, .maxRssBytes = 2, .readBytes = 3, .writeBytes = 4};

    const auto read = outcomeFrom(toJson(outcome));
    CPPUNIT_ASSERT(read.has_value());
    CPPUNIT_ASSERT_EQUAL(toJson(outcome), toJson(*read));
    CPPUNIT_ASSERT(read->cause == Cause::Oom);
    CPPUNIT_ASSERT(read->notes == outcome.notes);
    CPPUNIT_ASSERT(read->usage.writeBytes == 4);
}

void WireTest::testOutcomeWithoutOptionalKeysSurvives()
{
    const auto read = outcomeFrom(toJson(Outcome{}));
    CPPUNIT_ASSERT(read.has_value());
    CPPUNIT_ASSERT(!read->exitCode && !read->signal && !read->usage.cpuMs && read->notes.empty());
}

void WireTest::testWhatIsHeldSurvivesTheFile()
{
    const std::string json = toJson(Held{.since = 1700000000123, .ending = Cause::Timeout});
    const auto read = heldFrom(json);
    CPPUNIT_ASSERT(read.has_value());
    CPPUNIT_ASSERT_EQUAL(TimeMs{1700000000123}, read->since);
    CPPUNIT_ASSERT(read->ending == Cause::Timeout);
    CPPUNIT_ASSERT(!heldFrom(toJson(Held{}))->ending);
    // A later shim may say more, and know of other causes.
    const auto later = heldFrom(replaced(
        json, R"("version":1)", R"("version":9,"processes":[4711],"ending":"MOON_PHASE")"));
    CPPUNIT_ASSERT(later.has_value() && !later->ending);
    CPPUNIT_ASSERT_EQUAL(TimeMs{1700000000123}, later->since);
}

void WireTest::testLargeNumbersStayExact()
{
    Claim large = claim;
    large.startTime = std::numeric_limits<std::uint64_t>::max();
    large.startedAt = 9007199254740993; // no double holds it
    const auto read = claimFrom(toJson(large));
    CPPUNIT_ASSERT(read.has_value());
    CPPUNIT_ASSERT_EQUAL(large.startTime, read->startTime);
    CPPUNIT_ASSERT_EQUAL(large.startedAt, read->startedAt);

    Order order;
    order.logMaxBytes = std::numeric_limits<std::int64_t>::max();
    order.timeoutMs = std::numeric_limits<std::int64_t>::min();
    const auto readOrder = orderFrom(toJson(order));
    CPPUNIT_ASSERT(readOrder.has_value());
    CPPUNIT_ASSERT_EQUAL(order.logMaxBytes, readOrder->logMaxBytes);
    CPPUNIT_ASSERT_EQUAL(order.timeoutMs, readOrder->timeoutMs);
}

void WireTest::testBytesThatAreNoUtf8Survive()
{
    Order order;
    order.argv = {"printf", "\xff\xfe\x80"};
    const auto read = orderFrom(toJson(order));
    CPPUNIT_ASSERT(read.has_value());
    CPPUNIT_ASSERT(read->argv == order.argv);
}

void WireTest::testUnknownKeysAreIgnored()
{
    const std::string json =
        replaced(toJson(claim), "{", R"({"later":{"deep":[1,{"pid":2}]},"also":null,)");
    const auto read = claimFrom(json);
    CPPUNIT_ASSERT(read.has_value());
    CPPUNIT_ASSERT_EQUAL(4711, read->pid);
}

void WireTest::testNewerVersionIsRefusedWithBothVersions()
{
    std::string why;
    const std::string newer = replaced(toJson(Order{}), R"("version":1)", R"("version":3)");
    CPPUNIT_ASSERT(!orderFrom(newer, &why));
    CPPUNIT_ASSERT_EQUAL(std::string("order.json is of version 3; this program knows up to 2"),
                         why);
    // It may lack what this version needs: the version is looked at first.
    CPPUNIT_ASSERT(!outcomeFrom(R"({"version":3})", &why));
    CPPUNIT_ASSERT_EQUAL(std::string("outcome.json is of version 3; this program knows up to 1"),
                         why);
}

void WireTest::testWhatFindsAStageIsReadInAnyVersion()
{
    const auto read = claimFrom(replaced(toJson(claim), R"("version":1)", R"("version":9)"));
    CPPUNIT_ASSERT(read.has_value());
    CPPUNIT_ASSERT_EQUAL(9, read->version);
    CPPUNIT_ASSERT_EQUAL(4711, read->pid);

    std::string why;
    const auto identity = identityFrom(
        R"({"version":9,"runId":"r","stageId":"s","attempt":2,"cgroup":"/c","bootId":"b","argv":7})",
        &why);
    CPPUNIT_ASSERT_MESSAGE(why, identity.has_value());
    CPPUNIT_ASSERT_EQUAL(std::string("r s 2 /c b"), identity->runId + " " + identity->stageId +
                                                        " " + std::to_string(identity->attempt) +
                                                        " " + identity->cgroup + " " +
                                                        identity->bootId);
    CPPUNIT_ASSERT(identity->argv.empty());
    CPPUNIT_ASSERT(!identityFrom(R"({"version":9,"runId":"r"})", &why));
    CPPUNIT_ASSERT_EQUAL(std::string("order.json lacks 'stageId'"), why);
}

void WireTest::testMissingKeyIsNamed()
{
    std::string why;
    CPPUNIT_ASSERT(!claimFrom(replaced(toJson(claim), R"("bootId":"boot",)", ""), &why));
    CPPUNIT_ASSERT_EQUAL(std::string("shim.lock lacks 'bootId'"), why);
    CPPUNIT_ASSERT(!claimFrom("{}", &why));
    CPPUNIT_ASSERT_EQUAL(std::string("shim.lock lacks 'version'"), why);
    CPPUNIT_ASSERT(!claimFrom("{}"));
}

void WireTest::testWrongTypesAreRefused()
{
    const std::string json = toJson(claim);
    CPPUNIT_ASSERT(!claimFrom(replaced(json, "4711", R"("4711")")));
    CPPUNIT_ASSERT(!claimFrom(replaced(json, "4711", "47.5")));
    CPPUNIT_ASSERT(!claimFrom(replaced(json, "4711", "4294967296")));
    CPPUNIT_ASSERT(!claimFrom(replaced(json, "99", "-99")));
    CPPUNIT_ASSERT(!claimFrom(replaced(json, R"("boot")", "null")));
    CPPUNIT_ASSERT(!claimFrom(replaced(json, R"("version":1)", R"("version":"1")")));
    CPPUNIT_ASSERT(!claimFrom("[]"));
    CPPUNIT_ASSERT(!claimFrom("7"));

    const std::string order = toJson(Order{});
    CPPUNIT_ASSERT(!orderFrom(replaced(order, R"("argv":[])", R"("argv":[1])")));
    CPPUNIT_ASSERT(!orderFrom(replaced(order, R"("argv":[])", R"("argv":"sh")")));
    CPPUNIT_ASSERT(!orderFrom(replaced(order, R"("env":{})", R"("env":{"A":1})")));
    CPPUNIT_ASSERT(!orderFrom(replaced(order, R"("env":{})", R"("env":[])")));
    CPPUNIT_ASSERT(!orderFrom(replaced(order, R"("library":false)", R"("library":0)")));
}

void WireTest::testUnknownCauseIsRefused()
{
    std::string why;
    std::string json = toJson(Outcome{});
    json = json.substr(0, json.find(",\"crc32c\"")) + "}"; // as an older shim writes it
    CPPUNIT_ASSERT(outcomeFrom(json).has_value() && !outcomeFrom(json)->checked);
    CPPUNIT_ASSERT(!outcomeFrom(replaced(json, "EXIT", "MELTDOWN"), &why));
    CPPUNIT_ASSERT_EQUAL(std::string("outcome.json has the unknown cause 'MELTDOWN'"), why);
}

void WireTest::testAnOutcomeWithAWrongChecksumIsRefused()
{
    std::string why;
    const std::string json = toJson(Outcome{.cause = Cause::Exit, .exitCode = 3});
    CPPUNIT_ASSERT(outcomeFrom(json)->checked);
    for (std::size_t at = 0; at < json.size(); ++at)
    {
        std::string zeroed = json;
        zeroed[at] = '\0';
        const auto read = outcomeFrom(zeroed);
        CPPUNIT_ASSERT_MESSAGE(std::to_string(at), !read || !read->checked);
        const auto cut = outcomeFrom(json.substr(0, at));
        CPPUNIT_ASSERT_MESSAGE(std::to_string(at), !cut || !cut->checked);
    }
    CPPUNIT_ASSERT(!outcomeFrom(replaced(json, "\"exitCode\":3", "\"exitCode\":0"), &why));
    CPPUNIT_ASSERT_EQUAL(std::string("outcome.json is damaged: its checksum is wrong"), why);
    const std::string padded = json + std::string(100, '\0'); // a size that was reserved
    CPPUNIT_ASSERT(!outcomeFrom(padded) || !outcomeFrom(padded)->checked);
}

void WireTest::testTornFilesAreRefused()
{
    const std::string json = toJson(claim);
    for (std::size_t size = 0; size < json.size(); ++size)
        CPPUNIT_ASSERT(!claimFrom(json.substr(0, size)));
    CPPUNIT_ASSERT(!claimFrom(json + "}"));
    CPPUNIT_ASSERT(!claimFrom(std::string(64, '\0')));
}

void WireTest::testDeepNestingIsNoProblem()
{
    const std::string deep(1'000'000, '[');
    CPPUNIT_ASSERT(!claimFrom(deep));
    const std::string closed = std::string(200'000, '[') + std::string(200'000, ']');
    CPPUNIT_ASSERT(!claimFrom(closed));
}

void WireTest::testNulInTextIsRefused()
{
    Order order;
    order.argv = {"sh", std::string("a\0b", 3)};
    std::string why;
    CPPUNIT_ASSERT(!orderFrom(toJson(order), &why));
    CPPUNIT_ASSERT_EQUAL(std::string("order.json has 'argv' with a NUL in it"), why);
}

} // namespace agent
