// What a process of the agent's own user reaches of daemon and shim: neither memory nor descriptors nor environment, in
// which secrets and the keys of attempts are. Run by root, daemon and shim are those of another user.
#include "tests/support/FilesFolder.h"
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <functional>

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using agent::test::contentOf;
using agent::test::waitFor;

namespace fs = std::filesystem;

class ReachTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ReachTest);
    CPPUNIT_TEST(testADaemonIsClosed);
    CPPUNIT_TEST(testAShimIsClosed);
    CPPUNIT_TEST(testTheProbeReachesWhatIsOpen);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        fs::permissions(_folder.path(), fs::perms::all);
        if (::geteuid() == 0)
            CPPUNIT_ASSERT_EQUAL(0, ::chown(_folder.path().c_str(), user, user));
    }

    void tearDown() override
    {
        if (_pid > 0)
        {
            ::kill(_pid, SIGKILL);
            ::waitpid(_pid, nullptr, 0);
        }
    }

    void testADaemonIsClosed()
    {
        const std::string state = _folder.path() / "state";
        start(
            [&]
            {
                const std::string place = "state.dir=" + state;
                ::execl(STAGE_AGENT_BIN_DIR "/stage-agent", "stage-agent", "-D", "http.port=0",
                        "-D", place.c_str(), static_cast<char*>(nullptr));
            });
        waitFor("its address", [&] { return !contentOf(state + "/address").empty(); });
        CPPUNIT_ASSERT_EQUAL(std::string(), reached());
    }

    void testAShimIsClosed()
    {
        std::array<int, 2> ends{};
        CPPUNIT_ASSERT_EQUAL(0,
                             ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()));
        start(
            [&]
            {
                ::dup2(ends[1], 3);
                ::execl(STAGE_AGENT_BIN_DIR "/stage-shim", "stage-shim", "--wait   ",
                        static_cast<char*>(nullptr));
            });
        // It hides before it waits for its attempt.
        waitFor("it to wait",
                [&] {
                    return contentOf("/proc/" + std::to_string(_pid) + "/stat").find(") S ") !=
                           std::string::npos;
                });
        CPPUNIT_ASSERT_EQUAL(std::string(), reached());
        ::close(ends[0]);
        ::close(ends[1]);
    }

    void testTheProbeReachesWhatIsOpen()
    {
        start([] { ::execl("/bin/sleep", "sleep", "60", static_cast<char*>(nullptr)); });
        waitFor("the exec",
                [&] { return contentOf("/proc/" + std::to_string(_pid) + "/comm") == "sleep\n"; });
        CPPUNIT_ASSERT(reached().starts_with("mem environ fd"));
    }

private:
    static constexpr uid_t user = 65534;

    static void becomeUser()
    {
        if (::geteuid() == 0 &&
            (::setresgid(user, user, user) != 0 || ::setresuid(user, user, user) != 0))
            ::_exit(1);
    }

    void start(const std::function<void()>& execute)
    {
        _pid = ::fork();
        CPPUNIT_ASSERT(_pid >= 0);
        if (_pid != 0)
            return;
        becomeUser();
        const int null = ::open("/dev/null", O_RDWR);
        ::dup2(null, STDOUT_FILENO);
        ::dup2(null, STDERR_FILENO);
        execute();
        ::_exit(127);
    }

    /// What of the process another one of its user can open.
    [[nodiscard]] std::string reached() const
    {
        const std::string place = _folder.path() / "reached";
        const int probe = ::fork();
        if (probe == 0)
        {
            becomeUser();
            const std::string process = "/proc/" + std::to_string(_pid) + "/";
            std::ofstream told(place);
            for (const char* file : {"mem", "environ", "fd", "auxv", "syscall"})
                if (::open((process + file).c_str(), O_RDONLY | O_CLOEXEC) >= 0)
                    told << file << " ";
            const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, _pid, 0));
            if (::syscall(SYS_pidfd_getfd, pidfd, 0, 0) >= 0)
                told << "descriptor ";
            if (::ptrace(PTRACE_SEIZE, _pid, nullptr, nullptr) == 0)
                told << "ptrace ";
            told.close();
            ::_exit(0);
        }
        ::waitpid(probe, nullptr, 0);
        return contentOf(place);
    }

    agent::FilesFolder _folder;
    int _pid = 0;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ReachTest);
