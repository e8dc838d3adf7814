// Which waits of a part that does not answer are answers. WatchdogTest has the daemon's own parts.
#include "agent/Watchdog.h"

#include "tests/support/FilesFolder.h"
#include "tests/support/NotifySocket.h"
#include "tests/support/Variable.h"

#include <cppunit/extensions/HelperMacros.h>

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace agent
{

using namespace std::chrono_literals;

class WatchedPartsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(WatchedPartsTest);
    CPPUNIT_TEST(testAWaitInReadIsAnAnswer);
    CPPUNIT_TEST(testAWaitForAnotherThreadIsNone);
    CPPUNIT_TEST(testAnErrorIsAnAnswer);
    CPPUNIT_TEST_SUITE_END();

public:
    // Symptom: an agent whose engine waited in read(2) for a file system in user space was restarted. Cause: the call's
    // number is 0, which was taken for none.
    void testAWaitInReadIsAnAnswer()
    {
        std::array<int, 2> pipe{};
        CPPUNIT_ASSERT_EQUAL(0, ::pipe2(pipe.data(), O_CLOEXEC));
        std::thread waits(
            [&]
            {
                ::prctl(PR_SET_NAME, "waits");
                char byte = 0;
                CPPUNIT_ASSERT_EQUAL(ssize_t{0}, ::read(pipe[0], &byte, 1));
            });
        const bool fed = isFed([](auto) { return false; });
        ::close(pipe[1]);
        waits.join();
        ::close(pipe[0]);
        CPPUNIT_ASSERT(fed);
    }

    void testAWaitForAnotherThreadIsNone()
    {
        std::promise<void> never;
        std::thread waits(
            [&]
            {
                ::prctl(PR_SET_NAME, "waits");
                never.get_future().wait();
            });
        const bool fed = isFed([](auto) { return false; });
        never.set_value();
        waits.join();
        CPPUNIT_ASSERT(!fed);
    }

    void testAnErrorIsAnAnswer()
    {
        CPPUNIT_ASSERT(isFed([](auto) -> bool { throw std::runtime_error("the disk is full"); }));
    }

private:
    /// Returns whether a watchdog of half a second is fed within three of its intervals, beginning with the second
    /// round: in the first one `waits` may not wait yet.
    bool isFed(std::function<bool(std::chrono::milliseconds)> answers)
    {
        const FilesFolder folder;
        test::NotifySocket socket(folder.path() / "notify");
        const Variable address("NOTIFY_SOCKET", socket.path());
        const Variable interval("WATCHDOG_USEC", "500000");
        std::atomic<int> rounds = 0;
        Watchdog watchdog({{.name = "it",
                            .threads = {"waits"},
                            .answers =
                                [&](std::chrono::milliseconds timeout)
                            {
                                ++rounds;
                                return answers(timeout);
                            }}},
                          [](const std::string&) {});
        test::waitFor("a round", [&] { return rounds > 1; });
        return socket.comes("WATCHDOG=1", 1500ms);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(WatchedPartsTest);

} // namespace agent
