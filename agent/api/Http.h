#pragma once

#include "agent/api/Caller.h"
#include "agent/api/Peer.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace agent
{

class Transport;

/// A request after the server and the guard have let it pass: framed right, for a Host of ours, read
/// whole. Values only, so that handlers are tested without a socket.
struct Request
{
    std::string method;
    std::string path;                                       ///< raw, without the query
    std::vector<std::string> segments;                      ///< of the path, each percent-decoded
    std::vector<std::pair<std::string, std::string>> query; ///< decoded, in order
    std::map<std::string, std::string> headers;             ///< names in lower case
    std::string body;
    Peer peer;
    std::string actor; ///< who asks: what history rows name; set by Access, as is `caller`
    Caller caller;

    /// Is asked to stop when the client has closed its side: what takes long answers with what it has.
    std::stop_token gone = {};

    /// The value of a query parameter that may stand once; nothing when absent. A repeated parameter
    /// gives its first value.
    [[nodiscard]] std::optional<std::string> parameter(const std::string& name) const;
    [[nodiscard]] std::string header(const std::string& lowerName) const; ///< empty when absent
};

/// An answer. Exactly one of body, file, pages and takeOver carries its content.
struct Response
{
    int status = 200;
    std::string contentType = "application/json";
    std::map<std::string, std::string> headers;
    std::string body;
    std::shared_ptr<const std::string> cached; ///< ready bytes in place of `body`

    /// A part of a file; sent with sendfile, never held in memory.
    struct File
    {
        std::shared_ptr<int> descriptor; ///< closes itself with the last holder
        std::int64_t offset = 0;
        std::int64_t length = 0;
    };
    std::optional<File> file;

    /// Content that is made while it is sent, one page at a time, never held in memory as a whole.
    struct Pages
    {
        /// Appends the next page, at most 256 KiB. Returns false with the last one. Errors: what it throws
        /// breaks the connection, so that the client sees that the answer is not complete.
        std::function<bool(std::string& out)> next;
        std::optional<std::int64_t> length = std::nullopt; ///< of all of it; none: not known before
    };
    std::shared_ptr<Pages> pages;

    /// Takes the connection over: called once, after the head (without a length, Connection: close) was
    /// sent; the socket leaves the server. Must not block.
    std::function<void(std::unique_ptr<Transport>)> takeOver;
};

/// A refusal: becomes `{"error": {code, message, field}}` in exactly one place.
struct Refusal
{
    int status = 400;
    std::string code;
    std::string message;
    std::string field; ///< empty when no single field is at fault
    std::map<std::string, std::string> headers = {};
};

/// What answers the requests.
struct Handler
{
    /// Answers a request; may block. Errors: may throw Refusal (answered as such) or anything else (500).
    /// Threads: called by many at once.
    std::function<Response(Request&)> answer;

    /// Says whether answer() may wait for more than the store: for the engine, for processes, for a long
    /// log. Such requests have threads of their own. Absent: none does. Threads: the loop's.
    std::function<bool(const Request&)> takesLong = {};

    /// The answer, if it lies ready in memory. Never blocks. Errors: as answer(). Threads: the loop's.
    std::function<std::optional<Response>(Request&)> atOnce = {};
};

} // namespace agent
