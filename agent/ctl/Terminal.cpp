#include "agent/ctl/Terminal.h"

#include "agent/ctl/Failure.h"
#include "agent/ctl/StatusWords.h"
#include "agent/ctl/Text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <poll.h>
#include <sstream>
#include <sys/ioctl.h>
#include <unistd.h>

namespace agent::ctl
{

namespace
{

// Prepared before the handler is set, because a signal handler may not allocate.
struct ExitMessage
{
    std::array<char, 320> text{};
    std::size_t size = 0;

    void set(const std::string& given)
    {
        size = std::min(given.size(), text.size());
        std::memcpy(text.data(), given.data(), size);
    }
    void write(int descriptor) const
    {
        const ssize_t ignored = ::write(descriptor, text.data(), size);
        static_cast<void>(ignored);
    }
};

ExitMessage exitOutput;
ExitMessage exitError;

void onInterrupt(int)
{
    exitOutput.write(STDOUT_FILENO);
    exitError.write(STDERR_FILENO);
    ::_exit(130);
}

} // namespace

Terminal Terminal::ofOutput()
{
    Terminal terminal;
    if (::isatty(STDOUT_FILENO) != 1)
        return terminal;
    terminal.interactive = true;
    const char* noColour = std::getenv("NO_COLOR");
    terminal.colours = noColour == nullptr || *noColour == '\0';
    winsize size{};
    const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    terminal.width = known && size.ws_col > 0 ? size.ws_col : 80;
    terminal.height = known && size.ws_row > 0 ? size.ws_row : 24;
    return terminal;
}

std::string coloured(const Terminal& terminal, std::string_view status, std::string_view text)
{
    const auto known = statusNamed(status);
    if (!terminal.colours || !known)
        return std::string(text);
    const char* colour = "";
    switch (*known)
    {
    case Status::Idle:
        colour = "\x1b[2m";
        break;
    case Status::InProgress:
        colour = "\x1b[36m";
        break;
    case Status::AwaitingApproval:
        colour = "\x1b[33m";
        break;
    case Status::Success:
        colour = "\x1b[32m";
        break;
    case Status::Failure:
        colour = "\x1b[31m";
        break;
    }
    return std::string(colour).append(text).append("\x1b[0m");
}

void writeOut(std::string_view text)
{
    while (!text.empty())
    {
        const ssize_t size = ::write(STDOUT_FILENO, text.data(), text.size());
        if (size >= 0)
        {
            text.remove_prefix(static_cast<std::size_t>(size));
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN) // another program made the shared terminal or pipe non-blocking
        {
            pollfd output{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
            ::poll(&output, 1, -1);
            continue;
        }
        if (errno == EPIPE)
            ::_exit(128 + SIGPIPE);
        throw Failure(Exit::Usage, std::string("can't write the output: ") + std::strerror(errno));
    }
}

void exitOnInterrupt(const std::string& output, const std::string& message)
{
    exitOutput.set(output);
    exitError.set(message);
    struct sigaction action = {};
    action.sa_handler = onInterrupt;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

bool resizedUntil(std::chrono::steady_clock::time_point end)
{
    using std::chrono::nanoseconds;
    using std::chrono::seconds;
    sigset_t resize;
    ::sigemptyset(&resize);
    ::sigaddset(&resize, SIGWINCH);
    ::pthread_sigmask(SIG_BLOCK, &resize, nullptr); // pending until the next call
    while (true)
    {
        const auto left =
            std::max<nanoseconds>(end - std::chrono::steady_clock::now(), nanoseconds(0));
        const timespec timeout{.tv_sec = std::chrono::duration_cast<seconds>(left).count(),
                               .tv_nsec = (left % seconds(1)).count()};
        const int signal = ::sigtimedwait(&resize, nullptr, &timeout);
        if (signal == SIGWINCH || errno != EINTR)
            return signal == SIGWINCH;
    }
}

void note(std::string_view text)
{
    std::cerr << "stagectl: " << visible(text) << std::endl;
}

void printError(const std::string& message)
{
    std::istringstream lines(message);
    std::string line;
    for (bool first = true; std::getline(lines, line); first = false)
        note(first ? line : "  " + line);
}

} // namespace agent::ctl
