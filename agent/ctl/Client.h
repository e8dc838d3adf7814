#pragma once

#include "agent/ctl/Address.h"

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace agent::ctl
{

/// A request to the agent.
struct Call
{
    std::string method = "GET";
    std::string path; ///< begins with `/`, includes the query
    std::string body = {};
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::chrono::seconds timeout{60}; ///< for the whole answer
    bool mayPause = false; ///< an answer that pauses for `timeout` is complete, not an error
};

/// The agent's answer, with any status.
struct Answer
{
    int status = 0;
    std::string contentType;
    std::string host = {}; ///< the request's Host header: with the port unless it is 80
    std::map<std::string, std::string> headers = {}; ///< names in lower case
    std::string body = {};
};

/// An HTTP client of one agent. Each request uses its own connection, so that a restart of the agent in
/// between needs no special case.
/// Threads: any; it keeps no state between calls.
class Client
{
public:
    /// `caFile`: PEM certificates that are believed in place of the system's; empty: the system's.
    /// Errors: as parseAddress().
    Client(const std::string& url, std::string token, std::string caFile = {});

    /// Returns the answer, with any status.
    /// Errors: Failure Unreachable if the connection fails, or the answer is truncated or late;
    /// AgentFailed if it is not HTTP or exceeds 64 MiB.
    [[nodiscard]] Answer send(const Call& call) const;

    /// Returns the answer if it is a success (2xx).
    /// Errors: as send; Failure Refused, NotFound, Conflict or AgentFailed with the agent's message.
    [[nodiscard]] Answer ask(const Call& call) const;

    /// Receives the body of a successful answer in pieces, each with the answer's head.
    using Sink = std::function<void(const Answer& head, std::string_view piece)>;

    /// As send, for an answer of any size: a successful body goes to `sink` as it arrives.
    /// Blocks while bytes arrive, each within the call's timeout.
    [[nodiscard]] Answer stream(const Call& call, const Sink& sink) const;

    /// Returns a client of the same agent all of whose calls end `span` from now at the latest.
    [[nodiscard]] Client within(std::chrono::seconds span) const;

    [[nodiscard]] const std::string& url() const { return _url; }
    [[nodiscard]] const Address& address() const { return _address; }

private:
    Answer exchange(const Call& call, const Sink* sink) const;

    std::string _url;
    Address _address;
    std::string _token;
    std::string _caFile;
    std::optional<std::chrono::steady_clock::time_point> _end;
};

/// Throws the Failure for an unsuccessful answer: the agent's message (for a conflict it lists what is
/// possible) with its code and field.
[[noreturn]] void refuse(const Answer& answer);

/// Percent-encodes text for a query value or path segment.
std::string encoded(const std::string& text);

} // namespace agent::ctl
