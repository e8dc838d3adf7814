#pragma once

#include <Poco/URI.h>

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

/// What is asked of the agent.
struct Call
{
    std::string method = "GET";
    std::string path; ///< from `/` on, with its query
    std::string body = {};
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::chrono::seconds timeout{60}; ///< for the whole answer
    bool mayPause = false; ///< an answer that stops coming for `timeout` has ended, and ended well
};

/// What came back, whatever its status.
struct Answer
{
    int status = 0;
    std::string contentType;
    std::string host = {}; ///< whom the request named: HOST, with the port unless it is 80
    std::map<std::string, std::string> headers = {}; ///< names in lower case
    std::string body = {};
};

/// Talks HTTP to one agent; a connection for each request, so that an agent that was restarted in
/// between is no special case.
/// Threads: any, it keeps nothing between calls.
class Client
{
public:
    /// Errors: Failure Usage when `url` is not of the form http://HOST[:PORT].
    Client(const std::string& url, std::string token);

    /// Asks, and gives the answer with any status.
    /// Errors: Failure Unreachable without a connection, or when the answer was cut off or too late;
    /// AgentFailed when it is no HTTP or larger than 64 MiB.
    [[nodiscard]] Answer send(const Call& call) const;

    /// Asks, and gives the answer of a success (2xx).
    /// Errors: as send; Failure Refused, NotFound, Conflict or AgentFailed with the agent's own words.
    [[nodiscard]] Answer ask(const Call& call) const;

    /// Receives the pieces of a success's body with the answer's head.
    using Sink = std::function<void(const Answer& head, std::string_view piece)>;

    /// As send, for an answer of any size: a success's body goes to `sink` in pieces as they arrive.
    /// Blocking: as long as bytes keep coming, each within the call's timeout.
    [[nodiscard]] Answer stream(const Call& call, const Sink& sink) const;

    /// The same agent for a look that gives up when `span` from now is over, whatever its calls allow.
    [[nodiscard]] Client within(std::chrono::seconds span) const;

    [[nodiscard]] const std::string& url() const { return _url; }
    [[nodiscard]] const Poco::URI& uri() const { return _uri; }

    /// What comes before the API's own paths: empty, or from `/` on.
    [[nodiscard]] std::string path() const;

private:
    Answer exchange(const Call& call, const Sink* sink) const;

    std::string _url;
    Poco::URI _uri;
    std::string _token;
    std::optional<std::chrono::steady_clock::time_point> _end;
};

/// Turns an answer that is no success into the Failure that tells it: the agent's message (for a
/// conflict it says what is possible) with its code and field.
[[noreturn]] void refuse(const Answer& answer);

/// Percent-encodes text for a query value or path segment.
std::string encoded(const std::string& text);

} // namespace agent::ctl
