#pragma once

#include "agent/api/Http.h"
#include "agent/api/Sessions.h"
#include "agent/api/TokenFailures.h"

#include <functional>
#include <string>

namespace agent
{

struct AccessOptions
{
    bool required = true;       ///< false: whoever comes without a token is admin
    std::string operatorsGroup; ///< its members operate over the Unix socket
    gid_t operators = static_cast<gid_t>(-1);
    std::string proxyHeader; ///< in lower case; empty: none is believed
    std::function<void(const std::string&)> log = {};
    std::function<void()> used = [] {}; ///< uses of tokens wait to be recorded. Must not block
};

/// Finds out who asks, and what he may: docs/access.md.
/// Threads: any. Never blocks.
class Access
{
public:
    Access(AccessOptions options, TokenCatalog& tokens, Sessions& sessions)
        : _options(std::move(options)),
          _failures(_options.log),
          _tokens(tokens),
          _sessions(sessions)
    {
    }

    /// Sets actor and caller of the request, which needs `role`.
    /// Errors: Refusal 401 `token_missing`, `token_invalid`; 403 `role_too_low`, `not_an_operator`; 429
    /// `too_many_failures`; 400 for a person's name that can't be kept.
    void admit(Request& request, Role role);

    /// A code that opens a session was wrong. Errors: Refusal 401, 429.
    [[noreturn]] void refuseCode(const Request& request);

    [[nodiscard]] TokenFailures::Counts failures() const { return _failures.counts(); }

private:
    void admitBearer(Request& request, const std::string& secret);
    void admitUser(Request& request) const;
    [[noreturn]] void refuse(const Request& request, const Refusal& refusal);

    const AccessOptions _options;
    TokenFailures _failures;
    TokenCatalog& _tokens;
    Sessions& _sessions;
};

} // namespace agent
