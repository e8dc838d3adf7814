#include "agent/api/HttpServer.h"

#include "agent/api/ConnectionLoop.h"

#include <Poco/Exception.h>
#include <Poco/Net/SocketAddress.h>

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <system_error>

namespace agent
{
namespace
{

using Poco::Net::SocketAddress;

/// Not with Poco's socket: its descriptor would be inherited by a shim that starts at the same moment.
/// Not with SO_REUSEPORT, by which a second agent would silently get half of the requests.
/// Errors: std::system_error, Poco::Exception.
FileDescriptor listenOn(const SocketAddress& address)
{
    FileDescriptor socket(::socket(address.af(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    if (!socket.valid() ||
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        ::bind(socket.get(), address.addr(), address.length()) != 0 ||
        ::listen(socket.get(), SOMAXCONN) != 0)
        throw std::system_error(errno, std::generic_category());
    return socket;
}

SocketAddress addressOf(const FileDescriptor& socket)
{
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length);
    return {reinterpret_cast<sockaddr*>(&address), length};
}

FileDescriptor listenerFor(const HttpOptions& options)
{
    std::string why;
    try
    {
        return listenOn(SocketAddress(options.address, options.port));
    }
    catch (const std::system_error& error)
    {
        why = error.code().message();
    }
    catch (const Poco::Exception& error)
    {
        why =
            error.code() > 0 ? std::generic_category().message(error.code()) : error.displayText();
    }
    throw std::runtime_error("cannot listen on " + options.address + ":" +
                             std::to_string(options.port) + ": " + why +
                             ". Set http.address or http.port to another one; stagectl "
                             "doctor tells who has this one");
}

LoopOptions loopOptions(const HttpOptions& options)
{
    using std::chrono::milliseconds;
    return {.connections = options.connections,
            .limits = {.bodyBytes = options.bodyLimitBytes,
                       .headDeadline = milliseconds(options.headDeadlineMs),
                       .bodyDeadline = milliseconds(options.bodyDeadlineMs),
                       .idleDeadline = milliseconds(options.idleDeadlineMs),
                       .writeDeadline = milliseconds(options.writeDeadlineMs)},
            .logError = options.logError};
}

} // namespace

std::optional<std::string> Request::parameter(const std::string& name) const
{
    for (const auto& [key, value] : query)
        if (key == name)
            return value;
    return std::nullopt;
}

std::string Request::header(const std::string& lowerName) const
{
    const auto entry = headers.find(lowerName);
    return entry == headers.end() ? std::string() : entry->second;
}

HttpServer::HttpServer(const HttpOptions& options, Handler handler)
{
    std::vector<Listener> listeners;
    listeners.push_back({.socket = listenerFor(options)});
    _url = "http://" + addressOf(listeners.front().socket).toString();
    _loop = std::make_unique<ConnectionLoop>(loopOptions(options), std::move(listeners),
                                             DispatcherOptions{.shortThreads = options.threads,
                                                               .longThreads = options.longThreads,
                                                               .queued = options.queued,
                                                               .logError = options.logError},
                                             std::move(handler));
}

HttpServer::~HttpServer() = default;

void HttpServer::start()
{
    _loop->start();
}

void HttpServer::stop()
{
    _loop->stop();
}

} // namespace agent
