#pragma once

#include "agent/model/Id.h"
#include "agent/process/AttemptFolder.h"
#include "agent/process/Launcher.h"
#include "agent/process/ProcessTree.h"
#include "tests/support/Environment.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/// What the tests of process/ start from: a folder of their own, orders for shell commands, and the
/// certainty that nothing they started outlives them.
namespace launching
{

namespace fs = std::filesystem;

/// Looks every 5 ms until `done`, at most `seconds`. Returns whether it came true.
inline bool within(int seconds, const std::function<bool()>& done)
{
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!done())
    {
        if (std::chrono::steady_clock::now() > deadline)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

inline std::string textOf(const fs::path& file)
{
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

inline void writeText(const fs::path& file, const std::string& text)
{
    std::ofstream(file) << text;
}

inline agent::FileDescriptor pidfdOf(int pid)
{
    return agent::FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

/// Runs `body` in a forked process. Returns its pid.
inline int forked(const std::function<void()>& body)
{
    const int pid = ::fork();
    CPPUNIT_ASSERT(pid >= 0);
    if (pid == 0)
    {
        // An exception must not reach the runner a second time.
        try
        {
            body();
        }
        catch (...)
        {
            ::_exit(1);
        }
        ::_exit(0);
    }
    return pid;
}

inline void reap(int pid)
{
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR)
        ;
}

/// Our children, zombies too.
inline std::size_t childrenOfUs()
{
    const auto all = agent::allProcesses();
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(),
                                                  [](const agent::ProcessStat& process)
                                                  { return process.ppid == ::getpid(); }));
}

/// A process that only sleeps, in a session of its own; ended and reaped with the object.
class Sleeper
{
public:
    explicit Sleeper(const std::vector<std::string>& environment = {})
        : _pid(forked(
              [&]
              {
                  ::setsid();
                  std::vector<char*> entries;
                  entries.reserve(environment.size() + 1);
                  for (const std::string& entry : environment)
                      entries.push_back(const_cast<char*>(entry.c_str()));
                  entries.push_back(nullptr);
                  const char* const argv[] = {"sleep", "300", nullptr};
                  ::execve("/bin/sleep", const_cast<char* const*>(argv), entries.data());
                  ::_exit(127);
              }))
    {
        // Until its exec it shows our own name and environment.
        within(5, [&] { return stat().comm == "sleep"; });
    }
    ~Sleeper()
    {
        ::kill(_pid, SIGKILL);
        reap(_pid);
    }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;

    [[nodiscard]] int pid() const { return _pid; }

    [[nodiscard]] agent::ProcessStat stat() const
    {
        return agent::processStat(_pid).value_or(agent::ProcessStat{});
    }

private:
    int _pid;
};

/// A temporary folder with the attempts of one run in it.
class Place
{
public:
    Place()
    {
        const char* base = std::getenv("TMPDIR");
        std::string name = std::string(base ? base : "/tmp") + "/launching-XXXXXX";
        CPPUNIT_ASSERT(::mkdtemp(name.data()) != nullptr);
        _folder = name;
    }
    ~Place()
    {
        const agent::Launcher launcher("/bin/false", agent::Cgroup());
        for (const fs::path& attempt : _attempts)
        {
            try
            {
                const auto claim = agent::AttemptFolder(attempt).claim();
                if (const auto shim = claim ? agent::processStat(claim->pid) : std::nullopt;
                    shim && shim->startTime == claim->startTime)
                    agent::signalProcess(*shim, SIGKILL);
                within(5, [&] { return launcher.endRemains(attempt) == 0; });
                launcher.forget(attempt);
                if (claim)
                    ::waitpid(claim->pid, nullptr, WNOHANG);
            }
            catch (const std::exception& error)
            {
                std::cerr << "left over in " << attempt << ": " << error.what() << '\n';
            }
        }
        std::error_code ignored;
        fs::remove_all(_folder, ignored);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    [[nodiscard]] const fs::path& folder() const { return _folder; }

    /// A new attempt's folder, not yet made.
    fs::path attempt()
    {
        _attempts.push_back(_folder / ("run-" + std::to_string(_attempts.size())) / "0-BUILD" /
                            "1");
        return _attempts.back();
    }

    /// An order for `/bin/sh -c script`.
    [[nodiscard]] agent::Order shell(const std::string& script) const
    {
        agent::Order order;
        order.runId = agent::newId();
        order.stageId = agent::newId();
        order.plugin = "shell";
        order.argv = {"/bin/sh", "-c", script};
        order.env = {{"PATH", "/usr/bin:/bin"},
                     {"RUN_ID", order.runId},
                     {"STAGE_ID", order.stageId},
                     {"STAGE_ATTEMPT", "1"}};
        order.cwd = _folder.string();
        order.graceMs = 1000;
        order.logMaxBytes = 1 << 20;
        return order;
    }

private:
    fs::path _folder;
    std::vector<fs::path> _attempts;
};

/// See tests/support/programs/Leaderless.cpp.
inline fs::path leaderless()
{
    return fs::path(STAGE_AGENT_BIN_DIR) / "../test-programs/leaderless";
}

/// The real shim of this build.
inline fs::path shimProgram()
{
    return fs::path(STAGE_AGENT_BIN_DIR) / "stage-shim";
}

/// Waits for the end of a shim that is our child, or init's.
inline void awaitEnd(const agent::Shim& shim)
{
    CPPUNIT_ASSERT(within(20,
                          [&]
                          {
                              ::waitpid(shim.pid, nullptr, WNOHANG);
                              return ::syscall(SYS_pidfd_send_signal, shim.pidfd.get(), 0, nullptr,
                                               0) != 0;
                          }));
}

/// The living processes that have `order`'s stage in their environment.
inline std::size_t livingOf(const agent::Order& order)
{
    std::size_t living = 0;
    for (const agent::ProcessStat& process : agent::allProcesses())
    {
        const std::string environment =
            agent::test::environmentOf("/proc/" + std::to_string(process.pid));
        if (process.alive() && environment.find("STAGE_ID=" + order.stageId) != std::string::npos)
            ++living;
    }
    return living;
}

} // namespace launching
