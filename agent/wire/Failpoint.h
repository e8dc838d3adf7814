#pragma once

// Places where a test build may be made to die, to wait or to fail: `-DSTAGE_AGENT_FAILPOINTS` and
//   STAGE_AGENT_FAILPOINT=name:kill[@N] | name:sleep=MS[@N] | name:errno=NUMBER[@N]
// in the environment; @N: only at the N-th time that the place is reached (kill and sleep: the first,
// errno: every time when not given). Any other build contains nothing of this.
//
// FAILPOINT(name) is a statement, FAILPOINT_ERRNO(name) the error number to pretend, 0 for none.

#ifndef STAGE_AGENT_FAILPOINTS

#define FAILPOINT(name) static_cast<void>(name)
#define FAILPOINT_ERRNO(name) 0

#else

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>



namespace agent
{

/// What the environment asks for; read once.
struct Failpoint
{
    enum class Action
    {
        None,
        Kill,
        Sleep,
        Errno
    };

    std::string name;
    Action action = Action::None;
    long value = 0;
    long at = 0; ///< 0: each time
    std::atomic<long> hits = 0;

    static Failpoint& instance()
    {
        static Failpoint failpoint;
        return failpoint;
    }

    /// Does what is asked at `place`. Shape: the error number to pretend, 0 for none. Threads: any.
    int reach(std::string_view place)
    {
        if (action == Action::None || place != name)
            return 0;
        const long hit = ++hits;
        if (at != 0 && hit != at)
            return 0;
        if (action == Action::Kill)
            std::raise(SIGKILL);
        if (action == Action::Sleep)
        {
            const timespec time{.tv_sec = value / 1000, .tv_nsec = value % 1000 * 1'000'000};
            ::nanosleep(&time, nullptr);
        }
        return action == Action::Errno ? static_cast<int>(value) : 0;
    }

private:
    Failpoint()
    {
        const char* text = std::getenv("STAGE_AGENT_FAILPOINT");
        if (text == nullptr)
            return;
        std::string_view spec = text;
        if (const auto mark = spec.rfind('@'); mark != std::string_view::npos)
        {
            at = number(spec.substr(mark + 1));
            spec = spec.substr(0, mark);
        }
        const auto colon = spec.rfind(':');
        if (colon == std::string_view::npos)
            return;
        name = spec.substr(0, colon);
        const std::string_view what = spec.substr(colon + 1);
        if (what == "kill")
            action = Action::Kill;
        else if (what.starts_with("sleep="))
            action = Action::Sleep;
        else if (what.starts_with("errno="))
            action = Action::Errno;
        if (const auto equals = what.find('='); equals != std::string_view::npos)
            value = number(what.substr(equals + 1));
        if (at == 0 && action != Action::Errno)
            at = 1;
    }

    static long number(std::string_view text)
    {
        long value = 0;
        std::from_chars(text.data(), text.data() + text.size(), value);
        return value;
    }
};

} // namespace agent

#define FAILPOINT(name) static_cast<void>(::agent::Failpoint::instance().reach(name))
#define FAILPOINT_ERRNO(name) ::agent::Failpoint::instance().reach(name)

#endif
