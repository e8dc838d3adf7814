#pragma once

#include "agent/api/Caller.h"

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace agent
{

/// The sessions of dashboards: who has a token, or needs none, gets a code that opens one session, with the
/// same rights. Both are in memory only.
/// Threads: any.
class Sessions
{
public:
    static constexpr TimeMs codeMs = 60'000;
    static constexpr TimeMs sessionMs = TimeMs{12} * 3'600'000;
    static constexpr std::size_t mostCodes = 64; ///< beyond it the oldest one goes
    static constexpr std::size_t mostSessions = 256;
    static constexpr std::size_t mostOfOne =
        16; ///< of a single actor, who loses his own oldest one

    struct Opened
    {
        std::string secret;
        std::shared_ptr<const Grant> grant;
    };

    /// Returns a code for one session with the rights of `caller`.
    std::string invite(const std::string& actor, const Caller& caller, TimeMs now = nowMs());

    /// Returns the session that `code` opens; nothing when there is no such code, or no longer.
    std::optional<Opened> open(std::string_view code, TimeMs now = nowMs());

    /// Returns the session with this secret; null when there is none.
    std::shared_ptr<Grant> find(std::string_view secret, TimeMs now = nowMs());

private:
    using Grants = std::list<std::shared_ptr<Grant>>; ///< the oldest first

    static void tidy(Grants& grants, const std::string& actor, std::size_t most, TimeMs now);
    static Grants::iterator look(Grants& grants, std::string_view secret);

    std::mutex _mutex;
    Grants _codes;    // guarded by _mutex
    Grants _sessions; // guarded by _mutex
};

} // namespace agent
