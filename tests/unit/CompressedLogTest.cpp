#include "agent/store/CompressedLog.h"
#include "tests/support/WrittenLog.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fstream>
#include <random>
#include <stdexcept>

#include <sys/stat.h>

using agent::LogReader;

class CompressedLogTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(CompressedLogTest);
    CPPUNIT_TEST(testReadsTheSame);
    CPPUNIT_TEST(testCompressingAgainFinishesWhatACrashLeft);
    CPPUNIT_TEST(testAnOpenReaderReadsOnMeanwhile);
    CPPUNIT_TEST(testRefusesADamagedFile);
    CPPUNIT_TEST_SUITE_END();

    void testReadsTheSame()
    {
        WrittenLog log;
        std::mt19937 random(7); // NOLINT(bugprone-random-generator-seed): a failure must come again
        while (log.all.size() < 3'500'000)
            log.chunk(std::string(random() % 100000, static_cast<char>('a' + random() % 26)) + "\n",
                      static_cast<std::int64_t>(log.all.size()), 2);
        LogReader plain = log.reader();
        const std::string lines = shown(plain.lines(10, 1000));
        agent::compressLog(log.folder);
        CPPUNIT_ASSERT(!std::filesystem::exists(log.folder / "log"));
        struct stat status = {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat((log.folder / "log.zst").c_str(), &status));
        CPPUNIT_ASSERT_EQUAL(mode_t{0600}, status.st_mode & 0777);
        CPPUNIT_ASSERT(status.st_size < 100'000);

        LogReader packed = log.reader();
        CPPUNIT_ASSERT_EQUAL(-1, packed.descriptor());
        CPPUNIT_ASSERT(log.all == textOf(packed));
        CPPUNIT_ASSERT(lines == shown(packed.lines(10, 1000)));
        CPPUNIT_ASSERT_EQUAL(plain.tail(3), packed.tail(3));
        CPPUNIT_ASSERT_EQUAL(plain.since(2'000'000), packed.since(2'000'000));
        for (int i = 0; i < 300; ++i)
        {
            const std::size_t offset = random() % (log.all.size() + 10);
            std::string part(random() % 3'000'000, '?');
            part.resize(packed.read(offset, part.data(), part.size()));
            CPPUNIT_ASSERT(offset >= log.all.size()
                               ? part.empty()
                               : log.all.compare(offset, part.size(), part) == 0);
        }
    }

    void testCompressingAgainFinishesWhatACrashLeft()
    {
        WrittenLog log;
        log.chunk("one\n");
        log.appendTo("log.zst", "rubbish");
        log.appendTo("log.zst.new", "half of it");
        LogReader before = log.reader();
        CPPUNIT_ASSERT_EQUAL(log.all, textOf(before));
        agent::compressLog(log.folder);
        agent::compressLog(log.folder);
        LogReader after = log.reader();
        CPPUNIT_ASSERT_EQUAL(log.all, textOf(after));
        CPPUNIT_ASSERT(!std::filesystem::exists(log.folder / "log.zst.new"));

        const WrittenLog empty;
        agent::compressLog(empty.folder);
        LogReader none = empty.reader();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t(0), none.size());
        CPPUNIT_ASSERT(none.lines(0, 1).empty());
    }

    void testAnOpenReaderReadsOnMeanwhile()
    {
        WrittenLog log;
        log.chunk("one\n");
        LogReader reader = log.reader();
        agent::compressLog(log.folder);
        reader.refresh();
        CPPUNIT_ASSERT_EQUAL(log.all, textOf(reader));
    }

    void testRefusesADamagedFile()
    {
        WrittenLog log;
        log.chunk(std::string(1'500'000, 'x') + "\n");
        agent::compressLog(log.folder);
        const std::filesystem::path file = log.folder / "log.zst";
        const std::string good = contentOf(file);
        for (std::size_t at = 0; at < good.size(); ++at)
        {
            std::string bad = good;
            bad[at] = static_cast<char>(bad[at] ^ 0x10);
            for (const std::string& content : {bad, good.substr(0, at)})
            {
                std::ofstream(file, std::ios::binary) << content;
                try
                {
                    LogReader reader = log.reader();
                    CPPUNIT_ASSERT(textOf(reader) == log.all);
                }
                catch (const std::runtime_error& error)
                {
                    CPPUNIT_ASSERT(std::string(error.what()).starts_with("log.zst is damaged: "));
                }
            }
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CompressedLogTest);
