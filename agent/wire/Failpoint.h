#pragma once

// Places where a test build may be made to die, to wait or to fail: `-DSTAGE_AGENT_FAILPOINTS` and
//   STAGE_AGENT_FAILPOINT=name:kill[@N] | name:stop[@N] | name:sleep=MS[@N] | name:errno=NUMBER[@N]
// in the environment; @N: only at the N-th time that the place is reached (errno: every time when not given, the
// others: the first). `stop` is SIGSTOP: the world may change before SIGCONT comes. STAGE_AGENT_CALL_LOG names a file that gets a line for each place
// that is reached. Any other build contains nothing of this.
//
// FAILPOINT(name) is a statement, FAILPOINT_ERRNO(name) the error number to pretend, 0 for none,
// FAILPOINT_VARIABLES what a shim needs of its daemon's environment.

#ifndef STAGE_AGENT_FAILPOINTS

#define FAILPOINT(name) static_cast<void>(name)
#define FAILPOINT_ERRNO(name) 0
#define FAILPOINT_VARIABLES

#else

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

namespace agent
{

/// What the environment asks for; read once.
class Failpoint
{
public:
    static Failpoint& instance()
    {
        static Failpoint failpoint;
        return failpoint;
    }

    /// Executes the action configured for `place`; returns the errno to simulate, 0 for none. Threads: any.
    int reach(std::string_view place)
    {
        record("point " + std::string(place));
        if (_action == Action::None || place != _name)
            return 0;
        const long hit = ++_hits;
        if (_at != 0 && hit != _at)
            return 0;
        if (_action == Action::Kill)
            std::raise(SIGKILL);
        if (_action == Action::Stop)
            std::raise(SIGSTOP);
        if (_action == Action::Sleep)
        {
            const timespec time{.tv_sec = _value / 1000, .tv_nsec = _value % 1000 * 1'000'000};
            ::nanosleep(&time, nullptr);
        }
        return _action == Action::Errno ? static_cast<int>(_value) : 0;
    }

    /// Adds a line to STAGE_AGENT_CALL_LOG, where that is set. Threads: any.
    static void record(std::string line)
    {
        const char* file = std::getenv("STAGE_AGENT_CALL_LOG");
        if (file == nullptr)
            return;
        line += '\n';
        const int fd = ::open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        [[maybe_unused]] const ssize_t put = ::write(fd, line.data(), line.size());
        ::close(fd);
    }

private:
    enum class Action
    {
        None,
        Kill,
        Stop,
        Sleep,
        Errno
    };

    Failpoint()
    {
        const char* text = std::getenv("STAGE_AGENT_FAILPOINT");
        if (text == nullptr)
            return;
        std::string_view spec = text;
        if (const auto mark = spec.rfind('@'); mark != std::string_view::npos)
        {
            _at = number(spec.substr(mark + 1));
            spec = spec.substr(0, mark);
        }
        const auto colon = spec.rfind(':');
        if (colon == std::string_view::npos)
            return;
        _name = spec.substr(0, colon);
        const std::string_view what = spec.substr(colon + 1);
        if (what == "kill")
            _action = Action::Kill;
        else if (what == "stop")
            _action = Action::Stop;
        else if (what.starts_with("sleep="))
            _action = Action::Sleep;
        else if (what.starts_with("errno="))
            _action = Action::Errno;
        if (const auto equals = what.find('='); equals != std::string_view::npos)
            _value = number(what.substr(equals + 1));
        if (_at == 0 && _action != Action::Errno)
            _at = 1;
    }

    static long number(std::string_view text)
    {
        long value = 0;
        std::from_chars(text.data(), text.data() + text.size(), value);
        return value;
    }

    std::string _name;
    Action _action = Action::None;
    long _value = 0;
    long _at = 0; ///< 0: each time
    std::atomic<long> _hits = 0;
};

} // namespace agent

#define FAILPOINT(name) static_cast<void>(::agent::Failpoint::instance().reach(name))
#define FAILPOINT_ERRNO(name) ::agent::Failpoint::instance().reach(name)
#define FAILPOINT_VARIABLES                                                                        \
    "STAGE_AGENT_FAILPOINT", "STAGE_AGENT_CALL_LOG", "STAGE_AGENT_CLOCK_SHIFT"

#endif
