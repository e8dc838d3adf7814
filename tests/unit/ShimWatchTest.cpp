#include "agent/process/ShimWatch.h"
#include "agent/os/Files.h"
#include "tests/support/Launching.h"

#include <map>

#include <sys/time.h>

using namespace std::chrono_literals;

namespace
{

using agent::Shim;
using agent::ShimWatch;

Shim childThat(const std::function<void()>& body)
{
    const int pid = launching::forked(body);
    return Shim{.pid = pid, .pidfd = launching::pidfdOf(pid)};
}

Shim sleepingChild()
{
    return childThat([] { ::pause(); });
}

} // namespace

class ShimWatchTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ShimWatchTest);
    CPPUNIT_TEST(testNamesTheOneThatEndedAndReapsIt);
    CPPUNIT_TEST(testReportsOfManyThatEndedAtOnce);
    CPPUNIT_TEST(testSeesTheEndOfAnotherProcessesChild);
    CPPUNIT_TEST(testReportsWhoSaidThatItsStageIsHeld);
    CPPUNIT_TEST(testWaitLastsItsTimeUnderSignals);
    CPPUNIT_TEST(testWakesFromAnotherThread);
    CPPUNIT_TEST(testWakeBeforeTheWaitIsNotLost);
    CPPUNIT_TEST(testWakesWhenADescriptorCanBeRead);
    CPPUNIT_TEST(testWakesWhenAFullPipeTakesMore);
    CPPUNIT_TEST_SUITE_END();

    void testNamesTheOneThatEndedAndReapsIt()
    {
        ShimWatch watch;
        watch.add("one", sleepingChild());
        watch.add("two", sleepingChild());
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), watch.size());
        const int one = watch.find("one")->pid;
        ::kill(one, SIGKILL);
        const auto ended = watch.wait(10'000);
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), ended.size());
        CPPUNIT_ASSERT_EQUAL(std::string("one"), ended.front().key);
        CPPUNIT_ASSERT(watch.find("one") == nullptr);
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), watch.size());
        CPPUNIT_ASSERT_MESSAGE("a zombie is left", ::kill(one, 0) != 0);

        ::kill(watch.find("two")->pid, SIGKILL);
        CPPUNIT_ASSERT_EQUAL(std::string("two"), watch.wait(10'000).at(0).key);
    }

    void testReportsOfManyThatEndedAtOnce()
    {
        constexpr std::size_t many = 100; // more than one epoll_wait returns
        const std::size_t children = launching::childrenOfUs();
        ShimWatch watch;
        for (std::size_t i = 0; i < many; ++i)
            watch.add(std::to_string(i), childThat([] {}));
        std::size_t ended = 0;
        launching::within(10,
                          [&]
                          {
                              ended += watch.wait(1000).size();
                              return ended == many;
                          });
        CPPUNIT_ASSERT_EQUAL(many, ended);
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), watch.size());
        CPPUNIT_ASSERT_EQUAL(children, launching::childrenOfUs());
    }

    void testSeesTheEndOfAnotherProcessesChild()
    {
        int ends[2];
        CPPUNIT_ASSERT(::pipe(ends) == 0);
        const int parent = launching::forked(
            [&]
            {
                const int grandchild = launching::forked([] { ::pause(); });
                if (::write(ends[1], &grandchild, sizeof grandchild) < 0)
                    ::_exit(1);
            });
        launching::reap(parent);
        int orphan = 0;
        CPPUNIT_ASSERT(::read(ends[0], &orphan, sizeof orphan) == sizeof orphan);
        ::close(ends[0]);
        ::close(ends[1]);

        ShimWatch watch;
        watch.add("adopted", Shim{.pid = orphan, .pidfd = launching::pidfdOf(orphan)});
        CPPUNIT_ASSERT(watch.wait(0).empty());
        ::kill(orphan, SIGKILL);
        CPPUNIT_ASSERT_EQUAL(std::string("adopted"), watch.wait(10'000).at(0).key);
    }

    void testReportsWhoSaidThatItsStageIsHeld()
    {
        launching::Place place;
        ShimWatch watch;
        std::map<std::string, launching::fs::path> folders;
        for (const char* name : {"one", "two"})
        {
            folders[name] = place.folder() / name;
            launching::fs::create_directory(folders[name]);
            watch.add(name, sleepingChild(), folders[name]);
        }
        const auto put = [&](const std::string& who, const char* name)
        {
            launching::writeText(folders[who] / "new", "{}");
            launching::fs::rename(folders[who] / "new", folders[who] / name);
        };
        launching::writeText(folders["one"] / "log", "it prints");
        CPPUNIT_ASSERT(watch.wait(0).empty());
        put("one", agent::files::outputs);
        watch.wait(0);
        CPPUNIT_ASSERT(watch.takeHeld().empty());
        put("two", agent::files::held);
        CPPUNIT_ASSERT(watch.wait(10'000).empty());
        CPPUNIT_ASSERT(watch.takeHeld() == std::set<std::string>{"two"});
        CPPUNIT_ASSERT(watch.takeHeld().empty());
        for (const char* name : {"one", "two"})
            ::kill(watch.find(name)->pid, SIGKILL);
        CPPUNIT_ASSERT(launching::within(10,
                                         [&]
                                         {
                                             watch.wait(1000);
                                             return watch.size() == 0;
                                         }));
    }

    void testWaitLastsItsTimeUnderSignals()
    {
        struct sigaction action = {};
        struct sigaction before = {};
        action.sa_handler = [](int) {};
        ::sigaction(SIGALRM, &action, &before);
        const itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 5000},
                              .it_value = {.tv_sec = 0, .tv_usec = 5000}};
        ::setitimer(ITIMER_REAL, &often, nullptr);

        ShimWatch watch;
        const auto start = std::chrono::steady_clock::now();
        const auto ended = watch.wait(150);
        const auto took = std::chrono::steady_clock::now() - start;

        const itimerval off{};
        ::setitimer(ITIMER_REAL, &off, nullptr);
        ::sigaction(SIGALRM, &before, nullptr);
        CPPUNIT_ASSERT(ended.empty());
        CPPUNIT_ASSERT(took >= 150ms);
        CPPUNIT_ASSERT(took < 5s);
    }

    void testWakesFromAnotherThread()
    {
        ShimWatch watch;
        std::thread other([&] { watch.wake(); });
        const auto start = std::chrono::steady_clock::now();
        CPPUNIT_ASSERT(watch.wait(std::nullopt).empty());
        other.join();
        CPPUNIT_ASSERT(std::chrono::steady_clock::now() - start < 10s);
    }

    void testWakeBeforeTheWaitIsNotLost()
    {
        ShimWatch watch;
        watch.wake();
        watch.wake();
        const auto start = std::chrono::steady_clock::now();
        CPPUNIT_ASSERT(watch.wait(60'000).empty());
        CPPUNIT_ASSERT(std::chrono::steady_clock::now() - start < 30s);
        // Both calls were one wake: the next wait lasts.
        CPPUNIT_ASSERT(watch.wait(20).empty());
        CPPUNIT_ASSERT(std::chrono::steady_clock::now() - start >= 20ms);
    }

    void testWakesWhenADescriptorCanBeRead()
    {
        int ends[2];
        CPPUNIT_ASSERT_EQUAL(0, ::pipe2(ends, O_CLOEXEC));
        const agent::FileDescriptor read(ends[0]);
        const agent::FileDescriptor write(ends[1]);
        ShimWatch watch;
        watch.alsoWakeOn(read.get());
        CPPUNIT_ASSERT(watch.wait(0).empty());
        CPPUNIT_ASSERT(agent::writeAll(write.get(), "x"));
        CPPUNIT_ASSERT(watch.wait(std::nullopt).empty()); // for ever, had it not woken
    }

    void testWakesWhenAFullPipeTakesMore()
    {
        int ends[2];
        CPPUNIT_ASSERT_EQUAL(0, ::pipe2(ends, O_CLOEXEC | O_NONBLOCK));
        const agent::FileDescriptor read(ends[0]);
        const agent::FileDescriptor write(ends[1]);
        std::string block(65536, 'x');
        while (::write(write.get(), block.data(), block.size()) > 0)
            ;
        ShimWatch watch;
        watch.alsoWakeOnRoom(write.get());
        (void)watch.wait(0);
        CPPUNIT_ASSERT(::read(read.get(), block.data(), block.size()) > 0);
        CPPUNIT_ASSERT(watch.wait(std::nullopt).empty()); // for ever, had it not woken
        const agent::FileDescriptor file(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
        watch.alsoWakeOnRoom(file.get());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ShimWatchTest);
