#include "agent/ctl/Terminal.h"

#include "agent/ctl/Failure.h"
#include "agent/ctl/Text.h"
#include "agent/model/Stage.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace agent::ctl
{

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
    const auto known = statusFrom(status);
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
        if (errno == EAGAIN) // a terminal or pipe shared with a program that made it non-blocking
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

void note(std::string_view text)
{
    std::cerr << "stagectl: " << visible(text) << std::endl;
}

} // namespace agent::ctl
