#include "agent/os/Clone.h"

#include <cppunit/extensions/HelperMacros.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <functional>
#include <string>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using agent::cloneCopied;
using agent::CloneMain;
using agent::cloneShared;

namespace
{

using Clone = pid_t (*)(clone_args, CloneMain, void*);

int statusOf(pid_t pid)
{
    int status = 0;
    CPPUNIT_ASSERT_EQUAL(pid, ::waitpid(pid, &status, 0));
    return status;
}

/// What the children below are given.
struct Task
{
    int fd = -1;
    const char* program = nullptr;
    char* const* argv = nullptr;
};

__attribute__((no_sanitize("thread", "address", "undefined"))) int exitWithSeven(void*)
{
    return 7;
}

__attribute__((no_sanitize("thread", "address", "undefined"))) int execute(void* argument)
{
    const Task& task = *static_cast<const Task*>(argument);
    ::syscall(SYS_dup3, task.fd, STDOUT_FILENO, 0);
    ::syscall(SYS_execve, task.program, task.argv, nullptr);
    return errno == ENOENT ? 44 : 45;
}

void handler(int) {}

} // namespace

/// Both ways to clone keep the same promises: the copying one is all that some processors have.
class CloneTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(CloneTest);
    CPPUNIT_TEST(testResultIsTheExitStatus);
    CPPUNIT_TEST(testExecutesAProgramAndTheCallerGoesOn);
    CPPUNIT_TEST(testAFailedExecIsSeen);
    CPPUNIT_TEST(testGivesAPidfd);
    CPPUNIT_TEST(testHandlersAreResetAndIgnoredSignalsStay);
    CPPUNIT_TEST(testTellsAnErrorOfTheKernel);
    CPPUNIT_TEST(testManyLeaveTheCallersFrameAlone);
    CPPUNIT_TEST_SUITE_END();

    static void inBothWays(const std::function<void(Clone)>& test)
    {
        test(cloneShared);
        test(cloneCopied);
    }

    static std::string outputOf(Clone clone, const char* script)
    {
        std::array<int, 2> ends{};
        CPPUNIT_ASSERT_EQUAL(0, ::pipe2(ends.data(), O_CLOEXEC));
        std::array<char*, 4> argv{const_cast<char*>("sh"), const_cast<char*>("-c"),
                                  const_cast<char*>(script), nullptr};
        Task task{.fd = ends[1], .program = "/bin/sh", .argv = argv.data()};
        const pid_t pid = clone({}, execute, &task);
        ::close(ends[1]);
        CPPUNIT_ASSERT(pid > 0);
        std::string text(4096, '\0');
        const ssize_t got = ::read(ends[0], text.data(), text.size());
        ::close(ends[0]);
        CPPUNIT_ASSERT_EQUAL(0, statusOf(pid));
        text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        return text;
    }

public:
    void testResultIsTheExitStatus()
    {
        inBothWays(
            [](Clone clone)
            {
                const int status = statusOf(clone({}, exitWithSeven, nullptr));
                CPPUNIT_ASSERT(WIFEXITED(status));
                CPPUNIT_ASSERT_EQUAL(7, WEXITSTATUS(status));
            });
    }

    void testExecutesAProgramAndTheCallerGoesOn()
    {
        inBothWays([](Clone clone)
                   { CPPUNIT_ASSERT_EQUAL(std::string("1\n"), outputOf(clone, "echo 1")); });
    }

    void testAFailedExecIsSeen()
    {
        inBothWays(
            [](Clone clone)
            {
                std::array<char*, 2> argv{const_cast<char*>("x"), nullptr};
                Task task{.fd = 1, .program = "/nowhere/program", .argv = argv.data()};
                CPPUNIT_ASSERT_EQUAL(44, WEXITSTATUS(statusOf(clone({}, execute, &task))));
            });
    }

    void testGivesAPidfd()
    {
        inBothWays(
            [](Clone clone)
            {
                int pidfd = -1;
                clone_args args{};
                args.flags = CLONE_PIDFD;
                args.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
                const pid_t pid = clone(args, exitWithSeven, nullptr);
                siginfo_t info{};
                CPPUNIT_ASSERT_EQUAL(0, ::waitid(static_cast<idtype_t>(P_PIDFD),
                                                 static_cast<id_t>(pidfd), &info, WEXITED));
                CPPUNIT_ASSERT_EQUAL(pid, info.si_pid);
                ::close(pidfd);
            });
    }

    void testHandlersAreResetAndIgnoredSignalsStay()
    {
        const auto usr1 = std::signal(SIGUSR1, handler);
        const auto usr2 = std::signal(SIGUSR2, SIG_IGN);
        inBothWays(
            [](Clone clone)
            {
                const std::string text = outputOf(clone, "grep ^Sig[IC] /proc/self/status");
                const auto mask = [&](const char* name)
                { return std::stoull(text.substr(text.find(name) + 8), nullptr, 16); };
                CPPUNIT_ASSERT_EQUAL(0ULL, mask("SigCgt:") >> (SIGUSR1 - 1) & 1);
                CPPUNIT_ASSERT_EQUAL(1ULL, mask("SigIgn:") >> (SIGUSR2 - 1) & 1);
            });
        std::signal(SIGUSR1, usr1);
        std::signal(SIGUSR2, usr2);
    }

    void testTellsAnErrorOfTheKernel()
    {
        inBothWays(
            [](Clone clone)
            {
                clone_args args{};
                args.flags = CLONE_INTO_CGROUP;
                args.cgroup = 9999; // no such descriptor
                errno = 0;
                CPPUNIT_ASSERT_EQUAL(-1, clone(args, exitWithSeven, nullptr));
                CPPUNIT_ASSERT_EQUAL(EBADF, errno);
            });
    }

    void testManyLeaveTheCallersFrameAlone()
    {
        inBothWays(
            [](Clone clone)
            {
                std::array<std::uint64_t, 64> words{};
                for (std::size_t i = 0; i < words.size(); ++i)
                    words[i] = i * 0x9e3779b97f4a7c15;
                for (int i = 0; i < 50; ++i)
                    CPPUNIT_ASSERT_EQUAL(7,
                                         WEXITSTATUS(statusOf(clone({}, exitWithSeven, nullptr))));
                for (std::size_t i = 0; i < words.size(); ++i)
                    CPPUNIT_ASSERT_EQUAL(i * 0x9e3779b97f4a7c15, words[i]);
            });
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CloneTest);
