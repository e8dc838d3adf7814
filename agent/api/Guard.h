#pragma once

#include "agent/api/Http.h"

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// A request target, taken apart.
struct Target
{
    std::string path; ///< raw
    std::vector<std::string> segments;
    std::vector<std::pair<std::string, std::string>> query;
};

/// Splits a target on its raw slashes and decodes each part. `/` has no segments, `/a/` has "a" and "".
/// Errors: Refusal 400 for all that could mean another path elsewhere: `//`, dot segments (also encoded),
/// encoded slashes, backslashes, control characters, broken escapes, text that is no UTF-8.
Target parseTarget(std::string_view target);

struct GuardOptions
{
    std::string address;    ///< as configured, numeric
    std::uint16_t port = 0; ///< in use
    bool loopback6 = true;  ///< [::1] is listened on too
    std::vector<std::string>
        hosts; ///< `http.hosts`: more names of ours, each with or without a port
};

/// Keeps web pages out that a browser on this machine has open: DNS rebinding, cross-site requests.
/// Threads: any, immutable.
class Guard
{
public:
    explicit Guard(const GuardOptions& options);

    /// Judges a request before it is routed.
    /// Errors: Refusal 421 `wrong_host`, 403 `foreign_origin`, 415 `unsupported_media_type`.
    void check(const Request& request) const;

private:
    std::set<std::string> _hosts; ///< in lower case, as they may stand in Host
};

} // namespace agent
