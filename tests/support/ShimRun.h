#pragma once

#include "agent/wire/Order.h"
#include "tests/support/CanSandbox.h"
#include "tests/support/Environment.h"

#include <cppunit/TestAssert.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent::test
{

/// Asks again every 5 ms until `holds` or 10 s have passed. Returns what it said last.
inline bool eventually(const std::function<bool()>& holds,
                       std::chrono::milliseconds within = std::chrono::seconds(10))
{
    const auto end = std::chrono::steady_clock::now() + within;
    while (!holds())
    {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

inline std::string contentOf(const std::filesystem::path& file)
{
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

/// Where this host lets us make cgroup v2 folders; empty: nowhere.
inline std::filesystem::path writableCgroup()
{
    std::ifstream mounts("/proc/self/mounts");
    std::string device;
    std::string folder;
    std::string type;
    for (std::string rest; mounts >> device >> folder >> type && std::getline(mounts, rest);)
        if (type == "cgroup2" && ::access(folder.c_str(), W_OK) == 0 &&
            std::filesystem::exists(folder + "/cgroup.procs"))
            return folder;
    return {};
}

/// One attempt in a folder of its own, run by the real stage-shim as the daemon would.
class ShimRun
{
public:
    /// `folder`: where its folder is made; empty: the place for temporary files.
    explicit ShimRun(bool withCgroup, std::filesystem::path folder = {})
    {
        if (folder.empty())
            folder = std::filesystem::temp_directory_path();
        std::string name = (folder / "shim-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw std::runtime_error("mkdtemp: " + std::string(std::strerror(errno)));
        _folder = name;
        if (withCgroup)
        {
            _cgroup = writableCgroup() / _folder.filename();
            std::filesystem::create_directory(_cgroup);
        }
        order.plugin = "shell";
        order.cwd = _folder.string();
        order.graceMs = 5000;
        order.cgroup = _cgroup.string();
        order.env = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"SHIM_RUN", _folder.string()}};
    }

    ~ShimRun()
    {
        if (_pid > 0)
        {
            ::kill(_pid, SIGKILL);
            ::waitpid(_pid, nullptr, 0);
        }
        for (const int pid : processes())
            ::kill(pid, SIGKILL);
        eventually([this] { return processes().empty(); });
        std::error_code ignored;
        if (!_cgroup.empty())
            eventually([&] { return ::rmdir(_cgroup.c_str()) == 0 || errno == ENOENT; });
        std::filesystem::remove_all(_folder, ignored);
    }

    ShimRun(const ShimRun&) = delete;
    ShimRun& operator=(const ShimRun&) = delete;

    /// Has the command in a sandbox.
    void sandbox()
    {
        order.version = sandboxOrderVersion;
        order.sandbox = SandboxOrder{.program = "/usr/bin/bwrap"};
    }

    /// The command is `/bin/sh -c script`.
    void shell(const std::string& script) { order.argv = {"/bin/sh", "-c", script}; }

    void writeOrder() { std::ofstream(_folder / files::order) << toJson(order); }

    /// Starts the shim on the order that writeOrder() left.
    void startShim()
    {
        const std::string lock = (_folder / files::lock).string();
        const std::string program = STAGE_AGENT_BIN_DIR "/stage-shim";
        const int lockFd = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lockFd < 0 || ::flock(lockFd, LOCK_EX | LOCK_NB) != 0)
            throw std::runtime_error("lock of " + lock + ": " + std::strerror(errno));
        int secretsFd = -1;
        if (!secrets.empty())
        {
            std::string text;
            for (const auto& [key, value] : secrets)
                text.append(key).append(1, '\0').append(value).append(1, '\0');
            secretsFd = ::memfd_create("secrets", MFD_CLOEXEC);
            if (::write(secretsFd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
                throw std::runtime_error("memfd");
        }
        _pid = ::fork();
        if (_pid == 0)
        {
            sigset_t blocked;
            ::sigfillset(&blocked);
            ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
            // Out of the way first: either may be 3 or 4 itself.
            const int lockCopy = ::fcntl(lockFd, F_DUPFD, 20);
            const int secretsCopy = secretsFd < 0 ? -1 : ::fcntl(secretsFd, F_DUPFD, 20);
            ::dup2(lockCopy, 3);
            if (secretsCopy < 0)
                ::close(4);
            else
                ::dup2(secretsCopy, 4);
            for (int fd = 5; fd < 64; ++fd)
                if (fd != leakedFd)
                    ::close(fd);
            if (!failpoint.empty())
                ::setenv("STAGE_AGENT_FAILPOINT", failpoint.c_str(), 1);
            if (pendingStop)
                ::kill(::getpid(), SIGTERM);
            ::execl(program.c_str(), program.c_str(), _folder.c_str(), nullptr);
            ::_exit(127);
        }
        ::close(lockFd);
        if (secretsFd >= 0)
            ::close(secretsFd);
    }

    void start()
    {
        writeOrder();
        startShim();
    }

    /// Waits for the shim's end. Returns its exit code, 128 + signal, -1 when it does not end in 30 s.
    int wait()
    {
        int status = 0;
        if (!eventually([&] { return ::waitpid(_pid, &status, WNOHANG) == _pid; },
                        std::chrono::seconds(30)))
            return -1;
        _pid = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

    /// start(), wait(), and what the outcome says.
    Outcome run()
    {
        start();
        return finish();
    }

    Outcome finish()
    {
        if (const int code = wait(); code != 0)
            throw std::runtime_error("stage-shim ended with " + std::to_string(code));
        std::string why;
        const auto outcome = outcomeFrom(contentOf(_folder / files::outcome), &why);
        if (!outcome)
            throw std::runtime_error(why);
        return *outcome;
    }

    void signalShim(int signal) const { ::kill(_pid, signal); }
    [[nodiscard]] int pid() const { return _pid; }

    [[nodiscard]] const std::filesystem::path& folder() const { return _folder; }
    [[nodiscard]] const std::filesystem::path& cgroup() const { return _cgroup; }
    [[nodiscard]] std::string log() const { return contentOf(_folder / files::log); }

    bool logHolds(const std::string& text) const
    {
        return eventually([&] { return log().find(text) != std::string::npos; });
    }

    [[nodiscard]] std::vector<LogIndexRecord> index() const
    {
        const std::string bytes = contentOf(_folder / files::logIndex);
        std::vector<LogIndexRecord> records(bytes.size() / sizeof(LogIndexRecord));
        std::memcpy(records.data(), bytes.data(), records.size() * sizeof(LogIndexRecord));
        return records;
    }

    /// Every living process that has this run in its environment: nothing of ours clears that.
    [[nodiscard]] std::vector<int> processes() const
    {
        std::vector<int> found;
        const std::string mark = "SHIM_RUN=" + _folder.string();
        std::error_code error;
        for (const auto& entry : std::filesystem::directory_iterator("/proc", error))
            if (const int pid = std::atoi(entry.path().filename().c_str()); pid > 0)
                if (environmentOf(entry.path()).find(mark) != std::string::npos)
                    found.push_back(pid);
        return found;
    }

    Order order;
    std::map<std::string, std::string> secrets;
    std::string failpoint;
    bool pendingStop = false; ///< TERM waits before the shim's first instruction
    int leakedFd = -1;        ///< a descriptor that the shim inherits by mistake

private:
    std::filesystem::path _folder;
    std::filesystem::path _cgroup;
    int _pid = 0;
};

inline void assertCause(Cause expected, const Outcome& outcome)
{
    CPPUNIT_ASSERT_EQUAL_MESSAGE(outcome.message, std::string(toString(expected)),
                                 std::string(toString(outcome.cause)));
}

inline void assertNothingLeft(const ShimRun& run)
{
    CPPUNIT_ASSERT_EQUAL(std::size_t{0}, run.processes().size());
    if (!run.cgroup().empty())
        CPPUNIT_ASSERT_EQUAL(std::string(), contentOf(run.cgroup() / "cgroup.procs"));
}

/// Runs `claim` without a cgroup, and with one where there can be one.
inline void inBothContainments(const std::function<void(ShimRun&)>& claim)
{
    for (const bool withCgroup : {false, true})
    {
        if (withCgroup && writableCgroup().empty())
            continue;
        ShimRun run(withCgroup);
        claim(run);
    }
}

/// The same, and both once more in a sandbox where the host lets us make one.
inline void inAllContainments(const std::function<void(ShimRun&)>& claim)
{
    inBothContainments(claim);
    if (canSandbox())
        inBothContainments(
            [&](ShimRun& run)
            {
                run.sandbox();
                claim(run);
            });
}

} // namespace agent::test
