#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>

#include <sys/types.h>

namespace agent
{

/// The names of accounts, remembered for a minute. A look-up may ask a server (LDAP, SSSD) and hang: so
/// only one is made at a time, and who waits for it in vain gets the number.
/// Threads: any.
class AccountNames
{
public:
    /// Returns the account's name, or the number where there is none. Blocks for the look-up; 2 s at most
    /// for that of another caller.
    std::string of(uid_t uid);

private:
    using Clock = std::chrono::steady_clock;

    struct Known
    {
        std::string name;
        Clock::time_point until;
    };

    std::mutex _mutex;
    std::condition_variable _free;
    bool _busy = false;            // guarded by _mutex
    std::map<uid_t, Known> _known; // guarded by _mutex
};

} // namespace agent
