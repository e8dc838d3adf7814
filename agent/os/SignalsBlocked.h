#pragma once

#include <csignal>
#include <cstdint>

#include <sys/syscall.h>
#include <unistd.h>

namespace agent
{

/// All signals blocked, the C library's own too, until its end: no handler of ours may run in the child.
class SignalsBlocked
{
public:
    SignalsBlocked()
    {
        const std::uint64_t all = ~0ULL;
        ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &_before, sizeof all);
    }
    ~SignalsBlocked()
    {
        ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &_before, nullptr, sizeof _before);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    std::uint64_t _before = 0;
};

} // namespace agent
