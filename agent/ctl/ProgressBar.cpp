#include "agent/ctl/ProgressBar.h"

#include "agent/ctl/Text.h"

#include <algorithm>
#include <iostream>

#include <sys/ioctl.h>
#include <unistd.h>

namespace agent::ctl
{

namespace
{

constexpr std::chrono::milliseconds between{100};
constexpr std::size_t barWidth = 20;
constexpr std::size_t leastName = 12;

std::size_t columns()
{
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

} // namespace

ProgressBar::ProgressBar(std::int64_t bytes) : _drawn(::isatty(STDERR_FILENO) == 1), _all(bytes) {}

ProgressBar::~ProgressBar()
{
    if (_drawn)
        std::cerr << "\r\x1b[K" << std::flush;
}

void ProgressBar::show(const std::string& name)
{
    _name = visible(name);
    draw();
}

void ProgressBar::add(std::int64_t bytes, bool received)
{
    _done += bytes;
    if (received)
        _received += bytes;
    draw();
}

void ProgressBar::draw()
{
    const auto now = Clock::now();
    if (!_drawn || now < _next)
        return;
    _next = now + between;
    const double part =
        _all > 0 ? std::clamp(static_cast<double>(_done) / static_cast<double>(_all), 0.0, 1.0) : 1;
    const auto filled = static_cast<std::size_t>(part * barWidth);
    const auto seconds = std::chrono::duration<double>(now - _began).count();
    std::string line = "[";
    line.append(filled, '#').append(barWidth - filled, '.').append("] ");
    line.append(std::to_string(static_cast<int>(part * 100))).append(" %  ");
    line.append(bytesText(_done)).append(" of ").append(bytesText(_all));
    if (seconds > 0.5)
        line.append("  ")
            .append(bytesText(static_cast<std::int64_t>(static_cast<double>(_received) / seconds)))
            .append("/s");
    const std::size_t room = columns() - std::min(columns(), displayWidth(line) + 3);
    if (room >= leastName)
        line.append("  ").append(clip(_name, room));
    std::cerr << "\r\x1b[K" << line << std::flush;
}

} // namespace agent::ctl
