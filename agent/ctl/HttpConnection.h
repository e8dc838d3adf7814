#pragma once

#include "agent/ctl/Address.h"

#include <chrono>
#include <memory>
#include <string>

#include <Poco/Net/HTTPClientSession.h>

namespace agent::ctl
{

/// A connection to one agent for one request, over TCP, TLS or a Unix socket.
class HttpConnection
{
public:
    /// `caFile`: PEM certificates that are believed, in place of the system's; empty: the system's.
    /// Connects over a Unix socket at once, else with the first request.
    /// Errors: Failure Unreachable when the Unix socket can't be opened; Failure Usage for `caFile`.
    HttpConnection(const Address& address, const std::string& caFile,
                   std::chrono::microseconds timeout);
    ~HttpConnection();
    HttpConnection(const HttpConnection&) = delete;
    HttpConnection& operator=(const HttpConnection&) = delete;

    Poco::Net::HTTPClientSession& http() { return *_http; }

    /// What the Host header says.
    [[nodiscard]] std::string host() const;

    /// Why the agent's certificate was not believed, in words, with the way out after a line break; empty
    /// when nothing is wrong with it.
    [[nodiscard]] std::string certificateProblem() const;

private:
    struct Verification;

    void useTls(const std::string& caFile);

    const Address _address;
    std::unique_ptr<Verification> _verification; ///< of TLS
    std::unique_ptr<Poco::Net::HTTPClientSession> _http;
};

/// Returns whether the socket may be opened, and a server listens there. `refusal` gets why it may not, if
/// it is for another group's members only.
bool mayOpen(const std::string& socket, std::string& refusal);

} // namespace agent::ctl
