#include "agent/shim/LogWriter.h"
#include "agent/os/Files.h"
#include "agent/wire/Order.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

namespace
{

using agent::FilesFolder;
using agent::LogIndexRecord;
using agent::LogStream;
using agent::LogWriter;

const std::string secret = "swordfish-9f86d081884c";

/// What a stage prints, and what its log is to have.
struct Text
{
    std::string printed;
    std::string shown;
};

std::vector<LogIndexRecord> recordsOf(const FilesFolder& folder)
{
    const std::string bytes = agent::readFile(folder.path() / "log.idx").value_or("");
    std::vector<LogIndexRecord> records(bytes.size() / sizeof(LogIndexRecord));
    std::memcpy(records.data(), bytes.data(), records.size() * sizeof(LogIndexRecord));
    return records;
}

std::string logOf(const FilesFolder& folder)
{
    return agent::readFile(folder.path() / "log").value_or("");
}

} // namespace

/// Output in reads of all sizes becomes one log, whatever lies on their borders.
class LogWriterTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LogWriterTest);
    CPPUNIT_TEST(testMasksAndKeepsAllElseOverReadsOfAnySize);
    CPPUNIT_TEST(testIndexCountsTheLinesOfEachChunk);
    CPPUNIT_TEST(testCutsWithinALargeRead);
    CPPUNIT_TEST(testALineWithoutEndIsShownAt64KiB);
    CPPUNIT_TEST(testALineWhoseLastByteBeginsASecretIsShownInAPause);
    CPPUNIT_TEST_SUITE_END();

    std::mt19937 _random{7}; // NOLINT(bugprone-random-generator-seed)

    /// Lines of 0 to 300 bytes, a secret now and then.
    Text text(std::size_t size)
    {
        Text text;
        while (text.printed.size() < size)
        {
            const std::string line(_random() % 301, static_cast<char>('a' + _random() % 26));
            const bool hasSecret = _random() % 50 == 0;
            text.printed += line + (hasSecret ? secret : "") + "\n";
            text.shown += line + (hasSecret ? "***" : "") + "\n";
        }
        return text;
    }

    void take(LogWriter& writer, std::string_view printed, std::size_t most)
    {
        for (std::string read; !printed.empty(); printed.remove_prefix(read.size()))
        {
            read = printed.substr(0, 1 + _random() %
                                             most); // as the shim does: over what was read before
            writer.take(LogStream::Output, read);
        }
    }

    void testMasksAndKeepsAllElseOverReadsOfAnySize()
    {
        for (const std::size_t most : {100UL, 10000UL, 100000UL, 2000000UL})
        {
            const FilesFolder folder;
            const Text text = this->text(std::min<std::size_t>(20 * most, 4000000));
            LogWriter writer(folder.path(), 0, {secret}, {});
            take(writer, text.printed, most);
            writer.finish();
            CPPUNIT_ASSERT(text.shown == logOf(folder));
        }
    }

    void testIndexCountsTheLinesOfEachChunk()
    {
        const FilesFolder folder;
        LogWriter writer(folder.path(), 0, {secret}, {});
        take(writer, text(3000000).printed, 300000);
        writer.finish();
        const std::string log = logOf(folder);
        std::uint64_t offset = 0;
        std::uint64_t line = 0;
        for (const LogIndexRecord& record : recordsOf(folder))
        {
            CPPUNIT_ASSERT_EQUAL(offset, record.offset);
            CPPUNIT_ASSERT_EQUAL(line, record.line);
            const std::string_view chunk = std::string_view(log).substr(offset, record.bytes);
            CPPUNIT_ASSERT_EQUAL('\n', chunk.back());
            offset += chunk.size();
            line += static_cast<std::uint64_t>(std::count(chunk.begin(), chunk.end(), '\n'));
        }
        CPPUNIT_ASSERT_EQUAL(std::uint64_t(log.size()), offset);
    }

    void testCutsWithinALargeRead()
    {
        const FilesFolder folder;
        const Text text = this->text(1000000);
        constexpr std::size_t limit = 100000;
        LogWriter writer(folder.path(), limit, {secret}, {});
        writer.take(LogStream::Output, text.printed);
        writer.finish();
        const std::string log = logOf(folder);
        CPPUNIT_ASSERT(log.starts_with(text.shown.substr(0, limit / 2) + "\n[stage-agent: "));
        CPPUNIT_ASSERT(
            log.ends_with(" bytes]\n" + text.shown.substr(text.shown.size() - limit / 2)));
        CPPUNIT_ASSERT(log.find("\n[stage-agent: " + std::to_string(text.shown.size() - limit) +
                                " bytes left out here") != std::string::npos);
    }

    void testALineWithoutEndIsShownAt64KiB()
    {
        const FilesFolder folder;
        LogWriter writer(folder.path(), 0, {secret}, {});
        const std::string piece(1000, 'x');
        std::string printed = "line\n";
        writer.take(LogStream::Output, printed);
        for (int i = 0; i < 65; ++i, printed += piece)
            writer.take(LogStream::Output, piece);
        CPPUNIT_ASSERT_EQUAL(std::string("line\n"), logOf(folder));
        writer.take(LogStream::Output, piece);
        printed += piece;
        CPPUNIT_ASSERT(printed == logOf(folder));
        CPPUNIT_ASSERT(!writer.due());
    }

    /// Symptom: of `git rev-parse HEAD; sleep 600` all but the last byte was shown, for ten minutes.
    void testALineWhoseLastByteBeginsASecretIsShownInAPause()
    {
        const FilesFolder folder;
        LogWriter writer(folder.path(), 0, {secret}, {});
        const std::string line = std::string(39, 'a') + "7\n"; // the secret in hex begins with 7
        writer.take(LogStream::Output, line);
        CPPUNIT_ASSERT(writer.due());
        std::this_thread::sleep_until(*writer.due());
        writer.showDue();
        CPPUNIT_ASSERT_EQUAL(line, logOf(folder));
        CPPUNIT_ASSERT(!writer.due());
        writer.finish();
        CPPUNIT_ASSERT(line == logOf(folder));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogWriterTest);
