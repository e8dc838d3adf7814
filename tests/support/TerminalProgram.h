#pragma once

#include "tests/support/Daemon.h"
#include "tests/support/Program.h"
#include "tests/support/Screen.h"

#include <cppunit/TestAssert.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent::test
{

/// A program on a terminal of its own, and what stands on that terminal. Killed with the object.
class TerminalProgram
{
public:
    /// `environment` is all of it besides our PATH and the newest daemon's token, each `NAME=VALUE`.
    TerminalProgram(const std::vector<std::string>& arguments, std::vector<std::string> environment,
                    std::size_t rows, std::size_t columns)
        : screen(rows, columns)
    {
        for (const auto& variable : variablesWith({}))
            environment.push_back(variable);
        const auto argv = pointersTo(arguments);
        const auto envp = pointersTo(environment);
        winsize size = sizeOf(rows, columns);
        _pid = ::forkpty(&_terminal, nullptr, nullptr, &size);
        CPPUNIT_ASSERT(_pid >= 0);
        if (_pid == 0)
        {
            ::execve(argv[0], argv.data(), envp.data());
            ::_exit(127);
        }
    }
    ~TerminalProgram()
    {
        if (_pid > 0)
        {
            ::kill(_pid, SIGKILL);
            ::waitpid(_pid, nullptr, 0);
        }
        ::close(_terminal);
    }
    TerminalProgram(const TerminalProgram&) = delete;
    TerminalProgram& operator=(const TerminalProgram&) = delete;

    Screen screen;

    /// Takes what it writes until `enough`. Errors: fails the test after 30 s, or when it ended before.
    void until(const std::string& what, const std::function<bool()>& enough)
    {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (!enough())
        {
            const bool open = take();
            CPPUNIT_ASSERT_MESSAGE(what + " did not come; there stands:\n" + screen.text(),
                                   (open || enough()) && std::chrono::steady_clock::now() < limit);
        }
    }
    void untilShown(const std::string& text)
    {
        until("'" + text + "'", [&] { return screen.text().find(text) != std::string::npos; });
    }

    void type(const std::string& keys) const
    {
        CPPUNIT_ASSERT_EQUAL(static_cast<ssize_t>(keys.size()),
                             ::write(_terminal, keys.data(), keys.size()));
    }

    /// The kernel tells the program of it.
    void resize(std::size_t rows, std::size_t columns)
    {
        const winsize size = sizeOf(rows, columns);
        screen.resize(rows, columns);
        CPPUNIT_ASSERT_EQUAL(0, ::ioctl(_terminal, TIOCSWINSZ, &size));
    }

    /// Takes the rest. Returns its exit code; negative: the signal that ended it.
    int end()
    {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (take())
            CPPUNIT_ASSERT_MESSAGE("it did not end; there stands:\n" + screen.text(),
                                   std::chrono::steady_clock::now() < limit);
        int status = 0;
        ::waitpid(_pid, &status, 0);
        _pid = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

    /// All it ever wrote.
    [[nodiscard]] const std::string& written() const { return _written; }

private:
    /// Returns false once the program has ended and all it wrote was taken.
    bool take()
    {
        pollfd ready{.fd = _terminal, .events = POLLIN, .revents = 0};
        if (::poll(&ready, 1, 100) <= 0)
            return true;
        char buffer[4096];
        const ssize_t size = ::read(_terminal, buffer, sizeof buffer);
        if (size <= 0)
            return size < 0 && errno == EINTR;
        const std::string_view bytes(buffer, static_cast<std::size_t>(size));
        _written += bytes;
        screen.write(bytes);
        return true;
    }

    static winsize sizeOf(std::size_t rows, std::size_t columns)
    {
        return {.ws_row = static_cast<unsigned short>(rows),
                .ws_col = static_cast<unsigned short>(columns),
                .ws_xpixel = 0,
                .ws_ypixel = 0};
    }

    int _pid = 0;
    int _terminal = -1;
    std::string _written;
};

} // namespace agent::test
