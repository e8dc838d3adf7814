#include "tests/support/ShimRun.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <sstream>

namespace agent
{

using test::assertCause;
using test::contentOf;
using test::inAllContainments;
using test::ShimRun;

/// The log that a stage leaves, with the real program.
class ShimLogTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ShimLogTest);
    CPPUNIT_TEST(testLastByteIsKept);
    CPPUNIT_TEST(testLargeOutputIsWhole);
    CPPUNIT_TEST(testLargeOutputIsWholeWhereTheOtherStreamEnds);
    CPPUNIT_TEST(testMergedOutputIsInTheOrderOfTheWrites);
    CPPUNIT_TEST(testStandardStreamsCanBeOpened);
    CPPUNIT_TEST(testStreamsInterleaveByWholeLines);
    CPPUNIT_TEST(testLineWithoutEndShowsSoon);
    CPPUNIT_TEST(testIndexDescribesEveryByte);
    CPPUNIT_TEST(testLogLimitKeepsHeadAndTail);
    CPPUNIT_TEST(testLogOfExactlyTheLimitIsNotCut);
    CPPUNIT_TEST(testSecretsAreGivenAndMasked);
    CPPUNIT_TEST(testStageAddsASecret);
    CPPUNIT_TEST_SUITE_END();

public:
    void testLastByteIsKept();
    void testLargeOutputIsWhole();
    void testLargeOutputIsWholeWhereTheOtherStreamEnds();
    void testMergedOutputIsInTheOrderOfTheWrites();
    void testStandardStreamsCanBeOpened();
    void testStreamsInterleaveByWholeLines();
    void testLineWithoutEndShowsSoon();
    void testIndexDescribesEveryByte();
    void testLogLimitKeepsHeadAndTail();
    void testLogOfExactlyTheLimitIsNotCut();
    void testSecretsAreGivenAndMasked();
    void testStageAddsASecret();
};

CPPUNIT_TEST_SUITE_REGISTRATION(ShimLogTest);

void ShimLogTest::testLastByteIsKept()
{
    inAllContainments(
        [](ShimRun& run)
        {
            run.shell("printf 'a\\nlast byte'; printf 'E' >&2");
            CPPUNIT_ASSERT(run.run().succeeded());
            CPPUNIT_ASSERT_EQUAL(std::string("a\nlast byteE"), run.log());
        });
}

void ShimLogTest::testLargeOutputIsWhole()
{
    ShimRun run(false);
    run.shell("seq 1 2000000");
    const Outcome outcome = run.run();
    CPPUNIT_ASSERT(outcome.succeeded());
    std::string expected;
    for (int i = 1; i <= 2'000'000; ++i)
        expected += std::to_string(i) + '\n';
    CPPUNIT_ASSERT(run.log() == expected);
    CPPUNIT_ASSERT(run.index().size() < 10'000);
}

/// Symptom: text of the log was lost, doubled or not masked. Cause: where a read gave nothing, as at the end of a stream, the
/// shim changed its buffers all the same, and the next read overwrote what was still being written. Bound: six
/// ends within as many large logs.
void ShimLogTest::testLargeOutputIsWholeWhereTheOtherStreamEnds()
{
    std::string expected;
    for (int i = 1; i <= 2'000'000; ++i)
        expected += std::to_string(i) + "\n";
    for (const char* wait : {"0.001", "0.003", "0.005", "0.007", "0.01", "0.02"})
    {
        ShimRun run(false);
        run.order.output = StageOutput::Separate;
        run.shell("{ seq 1 2000000; } 2>/dev/null & sleep " + std::string(wait) +
                  "; exec 2>&-; wait");
        CPPUNIT_ASSERT(run.run().succeeded());
        CPPUNIT_ASSERT(expected == run.log());
    }
}

/// Symptom: a warning stood in the log before or after the file that it was about.
/// Cause: stdout and stderr were two pipes, which the shim reads one after the other.
/// Bound: 3 commands, each line in its place, in every containment.
void ShimLogTest::testMergedOutputIsInTheOrderOfTheWrites()
{
    std::string trace;
    std::string traced;
    std::string turns;
    for (int i = 0; i < 200; ++i)
    {
        const std::string n = std::to_string(i);
        trace += "/bin/echo out" + n + "\n";
        traced += "+ /bin/echo out" + n + "\nout" + n + "\n";
        turns += "compile " + n + "\nwarn " + n + "\n";
    }
    const std::string loop = "i=0; while [ $i -lt 200 ]; do ";
    for (const auto& [command, expected] : std::vector<std::pair<std::string, std::string>>{
             {loop + "/bin/echo compile $i; sh -c \"echo warn $i >&2\"; i=$((i+1)); done", turns},
             {"set -x\n" + trace, traced},
             {loop + "echo compile $i; echo warn $i >&2; i=$((i+1)); done", turns}})
        inAllContainments(
            [&, &command = command, &expected = expected](ShimRun& run)
            {
                run.order.output = StageOutput::Merged;
                run.shell(command);
                CPPUNIT_ASSERT(run.run().succeeded());
                CPPUNIT_ASSERT_EQUAL(expected, run.log());
                for (const LogIndexRecord& record : run.index())
                    CPPUNIT_ASSERT_EQUAL(1, int{record.stream});
            });
}

void ShimLogTest::testStandardStreamsCanBeOpened()
{
    for (const StageOutput output : {StageOutput::Merged, StageOutput::Separate})
        inAllContainments(
            [output](ShimRun& run)
            {
                run.order.output = output;
                // Some wait, so that the order is that of the writes with two pipes too.
                run.shell("echo a > /dev/stdout; sleep 0.05; echo b > /dev/stderr; sleep 0.05; "
                          "echo c >> /proc/self/fd/1; sleep 0.05; echo d >> /dev/fd/2; sleep 0.05; "
                          "echo e | tee /dev/stderr > /dev/null");
                CPPUNIT_ASSERT(run.run().succeeded());
                CPPUNIT_ASSERT_EQUAL(std::string("a\nb\nc\nd\ne\n"), run.log());
            });
}

void ShimLogTest::testStreamsInterleaveByWholeLines()
{
    ShimRun run(false);
    run.shell(
        "(i=0; while [ $i -lt 2000 ]; do printf out; printf 'out%s\\n' $i; i=$((i+1)); done) & "
        "(i=0; while [ $i -lt 2000 ]; do printf err; printf 'err%s\\n' $i; i=$((i+1)); done) >&2 & "
        "wait");
    CPPUNIT_ASSERT(run.run().succeeded());
    std::istringstream lines(run.log());
    int count[2] = {};
    for (std::string line; std::getline(lines, line);)
    {
        const bool isOut = line.starts_with("outout");
        const std::string expected =
            (isOut ? "outout" : "errerr") + std::to_string(count[isOut ? 0 : 1]++);
        CPPUNIT_ASSERT_EQUAL(expected, line);
    }
    CPPUNIT_ASSERT_EQUAL(2000, count[0]);
    CPPUNIT_ASSERT_EQUAL(2000, count[1]);
}

void ShimLogTest::testLineWithoutEndShowsSoon()
{
    ShimRun run(false);
    run.secrets = {{"TOKEN", "secret-token"}};
    run.shell("printf 'password: '; sleep 600");
    run.start();
    CPPUNIT_ASSERT(run.logHolds("password: "));
    run.signalShim(SIGTERM);
    assertCause(Cause::Stopped, run.finish());
}

void ShimLogTest::testIndexDescribesEveryByte()
{
    ShimRun run(false);
    run.shell("echo one; echo two; sleep 0.05; echo three >&2; sleep 0.05; printf four");
    const Outcome outcome = run.run();
    const std::string log = run.log();
    const std::vector<LogIndexRecord> index = run.index();
    CPPUNIT_ASSERT(index.size() >= 3);
    CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, index.front().offset);
    for (const LogIndexRecord& record : index)
    {
        const auto before = log.begin() + static_cast<std::ptrdiff_t>(record.offset);
        CPPUNIT_ASSERT_EQUAL(static_cast<std::uint64_t>(std::count(log.begin(), before, '\n')),
                             record.line);
        CPPUNIT_ASSERT_EQUAL(log.compare(record.offset, 5, "three") == 0 ? 2 : 1,
                             int{record.stream});
        CPPUNIT_ASSERT(record.timeUs / 1000 >= outcome.startedAt - 1000);
        CPPUNIT_ASSERT(record.timeUs / 1000 <= outcome.endedAt + 1000);
    }
    CPPUNIT_ASSERT_EQUAL(log.size(), static_cast<std::size_t>(outcome.logBytes));
}

void ShimLogTest::testLogLimitKeepsHeadAndTail()
{
    std::string whole;
    for (int i = 1; i <= 1'000'000; ++i)
        whole += std::to_string(i) + '\n';
    for (const std::int64_t limit : {std::int64_t{100'000}, std::int64_t{3} * 1024 * 1024})
    {
        ShimRun run(false);
        run.order.logMaxBytes = limit;
        run.shell("seq 1 999990; seq 999991 1000000 >&2");
        const Outcome outcome = run.run();
        CPPUNIT_ASSERT(outcome.succeeded());
        CPPUNIT_ASSERT(outcome.notes == std::vector<Cause>{Cause::LogLimit});

        const auto max = static_cast<std::size_t>(limit);
        const std::size_t tail = limit == 100'000 ? max / 2 : 1024UL * 1024;
        const std::string marker = "\n[stage-agent: " + std::to_string(whole.size() - max) +
                                   " bytes left out here, the limit is " + std::to_string(limit) +
                                   " bytes]\n";
        const std::string log = run.log();
        CPPUNIT_ASSERT_EQUAL(max + marker.size(), log.size());
        CPPUNIT_ASSERT(log.substr(0, max - tail) == whole.substr(0, max - tail));
        CPPUNIT_ASSERT_EQUAL(marker, log.substr(max - tail, marker.size()));
        // A busy shim may find both pipes full, and reads the rest of the first one last.
        const bool errorsLast = log.ends_with("\n1000000\n");
        CPPUNIT_ASSERT(errorsLast || log.ends_with("\n999990\n"));
        CPPUNIT_ASSERT(log.find("\n1000000\n", max - tail) != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(errorsLast ? 2 : 1, int{run.index().back().stream});
        CPPUNIT_ASSERT(!std::filesystem::exists(run.folder() / "log.tail"));
    }
}

void ShimLogTest::testLogOfExactlyTheLimitIsNotCut()
{
    ShimRun run(false);
    run.order.logMaxBytes = 6;
    run.shell("printf 'abc\\nde'");
    const Outcome outcome = run.run();
    CPPUNIT_ASSERT(outcome.notes.empty());
    CPPUNIT_ASSERT_EQUAL(std::string("abc\nde"), run.log());
}

void ShimLogTest::testSecretsAreGivenAndMasked()
{
    ShimRun run(false);
    run.secrets = {{"TOKEN", "s3cr3t-value"}, {"SHORT", "ab"}, {"EMPTY", ""}};
    run.order.secrets = {"TOKEN", "SHORT", "EMPTY"};
    run.shell("echo ${#TOKEN} $SHORT [$EMPTY]; echo a${TOKEN}b; echo $TOKEN >&2; "
              "printf s3cr; sleep 0.4; printf 3t-value; echo .");
    CPPUNIT_ASSERT(run.run().succeeded());
    std::string log = run.log();
    CPPUNIT_ASSERT_EQUAL(std::string::npos, log.find("s3cr"));
    CPPUNIT_ASSERT(log.starts_with("12 ab []\na***b\n"));
    CPPUNIT_ASSERT(log.ends_with("***.\n"));
    for (const auto& entry : std::filesystem::directory_iterator(run.folder()))
        CPPUNIT_ASSERT_EQUAL_MESSAGE(entry.path().string(), std::string::npos,
                                     contentOf(entry.path()).find("s3cr3t-value"));
}

void ShimLogTest::testStageAddsASecret()
{
    ShimRun run(false);
    run.order.env["STAGE_MASK"] = (run.folder() / "mask").string();
    run.shell("stat -c %a $STAGE_MASK; echo found-later; echo found-later >> $STAGE_MASK; "
              "echo found-later; echo xy >> $STAGE_MASK; echo end; "
              "printf without-end >> $STAGE_MASK; echo without-end");
    CPPUNIT_ASSERT(run.run().succeeded());
    const std::string log = run.log();
    CPPUNIT_ASSERT_MESSAGE(log, log.find("600\n") != std::string::npos);
    CPPUNIT_ASSERT_MESSAGE(log, log.find("***\n") != std::string::npos);
    CPPUNIT_ASSERT_MESSAGE(log, log.find("too short to be masked") != std::string::npos);
    CPPUNIT_ASSERT_MESSAGE(log, log.ends_with("end\n***\n"));
    CPPUNIT_ASSERT(!std::filesystem::exists(run.folder() / "mask"));
}

} // namespace agent
