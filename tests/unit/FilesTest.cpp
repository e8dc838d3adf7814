#include "agent/os/Files.h"
#include "agent/os/FileDescriptor.h"

#include <cppunit/extensions/HelperMacros.h>

#include <cerrno>
#include <random>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace
{

using agent::FileDescriptor;
using agent::writeAll;

} // namespace

class FilesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(FilesTest);
    CPPUNIT_TEST(testWritesAnyNumberOfTextsThroughAPipeThatTakesAFewBytes);
    CPPUNIT_TEST(testTellsHowMuchWasWrittenBeforeAFailure);
    CPPUNIT_TEST_SUITE_END();

    void testWritesAnyNumberOfTextsThroughAPipeThatTakesAFewBytes()
    {
        std::mt19937 random{7}; // NOLINT(bugprone-random-generator-seed)
        std::string whole;
        for (int i = 0; i < 2000000; ++i)
            whole += static_cast<char>(random());
        std::vector<std::string_view> texts;
        for (std::size_t at = 0; at < whole.size(); at += texts.back().size())
            texts.push_back(std::string_view(whole).substr(at, random() % 1500));

        int ends[2];
        CPPUNIT_ASSERT_EQUAL(0, ::pipe2(ends, O_CLOEXEC));
        const FileDescriptor readEnd(ends[0]);
        FileDescriptor writeEnd(ends[1]);
        std::string got;
        std::thread reader([&] { got = agent::readAll(readEnd.get()).value_or(""); });
        std::size_t written = 0;
        const bool done = writeAll(writeEnd.get(), texts, &written);
        writeEnd.reset();
        reader.join();
        CPPUNIT_ASSERT(done);
        CPPUNIT_ASSERT_EQUAL(whole.size(), written);
        CPPUNIT_ASSERT(whole == got);
    }

    void testTellsHowMuchWasWrittenBeforeAFailure()
    {
        int ends[2];
        CPPUNIT_ASSERT_EQUAL(0, ::pipe2(ends, O_CLOEXEC | O_NONBLOCK));
        const FileDescriptor readEnd(ends[0]);
        const FileDescriptor writeEnd(ends[1]);
        CPPUNIT_ASSERT_EQUAL(4096, ::fcntl(writeEnd.get(), F_SETPIPE_SZ, 4096));
        const std::string text(3000, 'x');
        const std::vector<std::string_view> texts{"", text, text};
        std::size_t written = 0;
        CPPUNIT_ASSERT(!writeAll(writeEnd.get(), texts, &written));
        CPPUNIT_ASSERT_EQUAL(EAGAIN, errno);
        CPPUNIT_ASSERT_EQUAL(std::size_t(4096), written);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FilesTest);
