#include "agent/shim/LogThread.h"
#include "agent/os/Files.h"
#include "agent/wire/Order.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <cstring>
#include <random>

#include <poll.h>

namespace
{

using agent::FilesFolder;
using agent::LogStream;
using agent::LogThread;
using agent::LogWriter;

const std::string secret = "swordfish-9f86d081884c";

std::string logOf(const FilesFolder& folder)
{
    return agent::readFile(folder.path() / "log").value_or("");
}

std::size_t chunksOf(const FilesFolder& folder)
{
    return agent::readFile(folder.path() / "log.idx").value_or("").size() /
           sizeof(agent::LogIndexRecord);
}

/// As a read does: at most as much as there is room for.
void take(LogThread& thread, LogStream stream, std::string_view text)
{
    while (!text.empty())
    {
        const std::span<char> room = thread.room(stream);
        CPPUNIT_ASSERT(!room.empty());
        const std::size_t size = std::min(room.size(), text.size());
        std::memcpy(room.data(), text.data(), size);
        thread.take(size);
        text.remove_prefix(size);
    }
}

} // namespace

/// What is taken is masked and written by another thread, or by the caller, as one after the other would do it.
class LogThreadTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LogThreadTest);
    CPPUNIT_TEST(testBothStreamsKeepTheirOrderThroughTextsOfAllSizes);
    CPPUNIT_TEST(testASmallTextIsInTheLogAtOnce);
    CPPUNIT_TEST(testALargeTextIsOneChunk);
    CPPUNIT_TEST(testSaysWhenItHasDoneAll);
    CPPUNIT_TEST(testWhatIsGivenBackIsNotWritten);
    CPPUNIT_TEST(testWritesWhatWasTakenBeforeItEnds);
    CPPUNIT_TEST_SUITE_END();

    std::mt19937 _random{7}; // NOLINT(bugprone-random-generator-seed)

    /// Each text ends in what no form of the secret begins with: the masker holds what may be a form that goes on over a
    /// line break, until there is more of that stream.
    void testBothStreamsKeepTheirOrderThroughTextsOfAllSizes()
    {
        const FilesFolder folder;
        LogWriter writer(folder.path(), 0, {secret}, {});
        std::string shown;
        {
            LogThread thread(writer);
            for (int i = 0; i < 300; ++i)
            {
                const std::size_t size = _random() % 3 == 0 ? _random() % 900000 : _random() % 500;
                std::string printed;
                while (printed.size() < size)
                {
                    const std::string line(_random() % 301,
                                           static_cast<char>('a' + _random() % 26));
                    const bool hasSecret = _random() % 50 == 0;
                    printed += line + (hasSecret ? secret : "") + "\n";
                    shown += line + (hasSecret ? "***" : "") + "\n";
                }
                shown += ".\n";
                take(thread, _random() % 2 == 0 ? LogStream::Output : LogStream::Errors,
                     printed + ".\n");
            }
            thread.settle();
            CPPUNIT_ASSERT(!thread.busy());
            writer.finish();
        }
        CPPUNIT_ASSERT(shown == logOf(folder));
    }

    void testASmallTextIsInTheLogAtOnce()
    {
        const FilesFolder folder;
        LogWriter writer(folder.path(), 0, {}, {});
        LogThread thread(writer);
        take(thread, LogStream::Output, "small\n");
        CPPUNIT_ASSERT(!thread.busy());
        CPPUNIT_ASSERT_EQUAL(std::string("small\n"), logOf(folder));
    }

    void testALargeTextIsOneChunk()
    {
        const FilesFolder folder;
        LogWriter writer(folder.path(), 0, {}, {});
        LogThread thread(writer);
        for (int i = 0; i < 3; ++i)
        {
            take(thread, LogStream::Output, std::string(1024UL * 1024 - 1, 'x') + "\n");
            thread.settle();
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t(3), chunksOf(folder));
        CPPUNIT_ASSERT_EQUAL(std::size_t(3) * 1024 * 1024, logOf(folder).size());
    }

    void testSaysWhenItHasDoneAll()
    {
        const FilesFolder folder;
        LogWriter writer(folder.path(), 0, {secret}, {});
        LogThread thread(writer);
        const std::string text(1024UL * 1024, '\n');
        for (int i = 0; i < 20; ++i)
        {
            take(thread, LogStream::Output, text);
            if (!thread.busy())
                continue; // it was faster
            pollfd done{.fd = thread.doneDescriptor(), .events = POLLIN, .revents = 0};
            CPPUNIT_ASSERT_EQUAL(1, ::poll(&done, 1, 60000));
            CPPUNIT_ASSERT(!thread.busy());
            CPPUNIT_ASSERT_EQUAL(0, ::poll(&done, 1, 0));
        }
        CPPUNIT_ASSERT_EQUAL(20 * text.size(), logOf(folder).size());
    }

    void testWhatIsGivenBackIsNotWritten()
    {
        const FilesFolder folder;
        LogWriter writer(folder.path(), 0, {}, {});
        LogThread thread(writer);
        for (const LogStream stream : {LogStream::Output, LogStream::Errors})
        {
            const std::span<char> room = thread.room(stream);
            std::fill(room.begin(), room.end(), '!');
            thread.take(0);
        }
        take(thread, LogStream::Output, "this\n");
        CPPUNIT_ASSERT_EQUAL(std::string("this\n"), logOf(folder));
    }

    void testWritesWhatWasTakenBeforeItEnds()
    {
        const FilesFolder folder;
        const std::string text(1024UL * 1024, '\n');
        LogWriter writer(folder.path(), 0, {secret}, {});
        {
            LogThread thread(writer);
            take(thread, LogStream::Output, text + text);
        }
        CPPUNIT_ASSERT_EQUAL(2 * text.size(), logOf(folder).size());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogThreadTest);
