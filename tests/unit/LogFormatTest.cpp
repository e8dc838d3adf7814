// docs/log-format.md is the contract of the log on disk. Its example must be what the programs write.
#include "tests/support/ShimRun.h"

#include "agent/model/Timestamp.h"
#include "agent/store/CompressedLog.h"
#include "agent/store/LogReader.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <sstream>

namespace agent
{

using test::contentOf;
using test::ShimRun;

class LogFormatTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LogFormatTest);
    CPPUNIT_TEST(testShimWritesTheLogOfTheExample);
    CPPUNIT_TEST(testShimWritesTheIndexOfTheExample);
    CPPUNIT_TEST(testTableOfTheExampleReportsItsIndex);
    CPPUNIT_TEST(testReaderReadsTheExample);
    CPPUNIT_TEST(testCompressingGivesTheFileOfTheExample);
    CPPUNIT_TEST_SUITE_END();

public:
    void testShimWritesTheLogOfTheExample();
    void testShimWritesTheIndexOfTheExample();
    void testTableOfTheExampleReportsItsIndex();
    void testReaderReadsTheExample();
    void testCompressingGivesTheFileOfTheExample();
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogFormatTest);

namespace
{

std::string document()
{
    return contentOf(STAGE_AGENT_SOURCE_DIR "/docs/log-format.md");
}

/// The bytes of the example's dump of `file`, as `hexdump -C` shows them.
std::string dumped(const std::string& file)
{
    const std::string text = document();
    const auto example = text.find("## An example");
    const auto named = text.find("\n`" + file + "`, ", example);
    const auto begin = text.find("```\n", named) + 4;
    CPPUNIT_ASSERT_MESSAGE("the example has no " + file,
                           example != text.npos && named != text.npos);
    std::istringstream lines(text.substr(begin, text.find("```", begin) - begin));
    std::string bytes;
    for (std::string line; std::getline(lines, line);)
    {
        std::istringstream words(line.substr(0, line.find('|')));
        std::size_t offset = 0;
        words >> std::hex >> offset;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(line, bytes.size(), offset);
        for (unsigned byte = 0; words >> byte;)
            bytes += static_cast<char>(byte);
    }
    return bytes;
}

std::vector<LogIndexRecord> recordsOf(const std::string& bytes)
{
    std::vector<LogIndexRecord> records(bytes.size() / sizeof(LogIndexRecord));
    CPPUNIT_ASSERT_EQUAL(bytes.size(), records.size() * sizeof(LogIndexRecord));
    std::memcpy(records.data(), bytes.data(), bytes.size());
    return records;
}

/// The stage that the example tells of. It waits for each piece to be read, so that each is a chunk; of what
/// is past the beginning only the order and the streams count.
void runExample(ShimRun& run)
{
    run.order.logMaxBytes = 64;
    // The log is made while the command starts.
    const std::string size =
        "$(stat -c %s " + (run.folder() / files::log).string() + " 2>/dev/null || echo 0)";
    const auto untilLogged = [&](int bytes)
    { return "until test " + size + " -ge " + std::to_string(bytes) + "; do sleep 0.01; done; "; };
    const std::string tail = (run.folder() / "log.tail").string();
    run.shell("echo 'make: start'; " + untilLogged(12) + "echo 'a.c: warning' >&2; " +
              untilLogged(25) + R"(printf 'line %d\n' 3 4 5 6 7 8 9; )" + "until test -s " + tail +
              "; do sleep 0.01; done; echo failed >&2");
    const Outcome outcome = run.run();
    CPPUNIT_ASSERT(outcome.succeeded());
    CPPUNIT_ASSERT(outcome.notes == std::vector<Cause>{Cause::LogLimit});
}

/// The files of the example in a folder of an attempt.
class Example
{
public:
    Example()
    {
        write(files::log, dumped("log"));
        write(files::logIndex, dumped("log.idx"));
    }

    [[nodiscard]] const std::filesystem::path& folder() const { return _run.folder(); }

private:
    void write(const char* name, const std::string& bytes) const
    {
        std::ofstream(folder() / name, std::ios::binary) << bytes;
    }

    ShimRun _run{false}; ///< only its folder is used
};

} // namespace

void LogFormatTest::testShimWritesTheLogOfTheExample()
{
    ShimRun run(false);
    runExample(run);
    CPPUNIT_ASSERT_EQUAL(dumped("log"), run.log());
    CPPUNIT_ASSERT(!std::filesystem::exists(run.folder() / "log.tail"));
}

/// Byte by byte, but for the times: those are when the example was made.
void LogFormatTest::testShimWritesTheIndexOfTheExample()
{
    ShimRun run(false);
    runExample(run);
    auto expected = recordsOf(dumped("log.idx"));
    auto written = recordsOf(contentOf(run.folder() / files::logIndex));
    for (auto* records : {&expected, &written})
    {
        for (auto& record : *records)
        {
            CPPUNIT_ASSERT(record.timeUs > 1'600'000'000'000'000);
            record.timeUs = 0;
        }
    }
    CPPUNIT_ASSERT_EQUAL(expected.size(), written.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
        CPPUNIT_ASSERT_EQUAL_MESSAGE("record " + std::to_string(i), 0,
                                     std::memcmp(&expected[i], &written[i], sizeof expected[i]));
}

/// Each row: record, offset, line, time, stream, chunk.
void LogFormatTest::testTableOfTheExampleReportsItsIndex()
{
    const auto records = recordsOf(dumped("log.idx"));
    const std::string log = dumped("log");
    const std::string text = document();
    std::istringstream lines(text.substr(text.find("| record | offset | line |")));
    std::string line;
    std::getline(lines, line);
    std::getline(lines, line); // the rule below the heading
    for (std::size_t i = 0; i < records.size(); ++i)
    {
        const LogIndexRecord& record = records[i];
        std::string chunk = log.substr(record.offset, record.bytes);
        for (std::size_t at = 0; (at = chunk.find('\n', at)) != chunk.npos; at += 2)
            chunk.replace(at, 1, "\\n");
        std::string time = formatTime(record.timeUs / 1000);
        time.insert(time.size() - 1, std::to_string(1000 + record.timeUs % 1000).substr(1));
        std::ostringstream row;
        row << "| " << i << " | " << record.offset << " | " << record.line << " | " << time << " | "
            << int{record.stream} << " | `" << chunk << "` |";
        std::getline(lines, line);
        CPPUNIT_ASSERT_EQUAL(row.str(), line);
    }
    std::getline(lines, line);
    CPPUNIT_ASSERT_EQUAL(std::string(), line);
}

void LogFormatTest::testReaderReadsTheExample()
{
    const Example example;
    auto reader = LogReader::open(example.folder()).value();
    std::string shown;
    for (const LogLine& line : reader.lines(0, 100))
        shown += std::to_string(line.number) + " " + std::to_string(int{line.stream}) + " " +
                 line.text + "\n";
    CPPUNIT_ASSERT_EQUAL(std::string("1 1 make: start\n"
                                     "2 2 a.c: warning\n"
                                     "3 1 line 3\n"
                                     "4 3 \n"
                                     "5 3 [stage-agent: 17 bytes left out here, the limit is 64 "
                                     "bytes]\n"
                                     "6 1 e 6\n"
                                     "7 1 line 7\n"
                                     "8 1 line 8\n"
                                     "9 1 line 9\n"
                                     "10 2 failed\n"),
                         shown);
}

/// Of the packed bytes themselves another version of the library may make others, so they are unpacked; the
/// frame of the table is compared byte by byte.
void LogFormatTest::testCompressingGivesTheFileOfTheExample()
{
    const std::string expected = dumped("log.zst");
    const std::string log = dumped("log");
    const Example example;
    compressLog(example.folder());
    CPPUNIT_ASSERT(!std::filesystem::exists(example.folder() / files::log));
    const std::string written = contentOf(example.folder() / "log.zst");

    const auto table = [](std::string file)
    {
        constexpr std::size_t tableSize = 25; // of one piece
        file.erase(0, file.size() - std::min(file.size(), tableSize));
        file.erase(8, 4); // the size of the packed piece
        return file;
    };
    CPPUNIT_ASSERT_EQUAL(table(expected), table(written));
    for (const std::string& file : {expected, written})
    {
        std::ofstream(example.folder() / "log.zst", std::ios::binary) << file;
        auto reader = LogReader::open(example.folder()).value();
        CPPUNIT_ASSERT_EQUAL(static_cast<std::uint64_t>(log.size()), reader.size());
        std::string text(log.size(), '\0');
        CPPUNIT_ASSERT_EQUAL(log.size(), reader.read(0, text.data(), text.size()));
        CPPUNIT_ASSERT_EQUAL(log, text);
    }
}

} // namespace agent
