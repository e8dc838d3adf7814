#pragma once

#include <Poco/Net/HTTPBasicCredentials.h>
#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/ThreadPool.h>
#include <Poco/URI.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>

/// Bare repositories below a folder over http on loopback, as files (git update-server-info), to those who know
/// one of the passwords; all of them while there are none.
class GitHttpServer
{
public:
    explicit GitHttpServer(std::filesystem::path root) : _root(std::move(root)), _socket(address())
    {
    }
    ~GitHttpServer()
    {
        if (_server)
            _server->stopAll(true);
        _threads.joinAll(); // stopAll() does not wait for a handler
    }
    GitHttpServer(const GitHttpServer&) = delete;
    GitHttpServer& operator=(const GitHttpServer&) = delete;

    /// Set before the first url(): `user:password`.
    std::set<std::string> passwords;

    /// Set before the first url(): where they are sent on to, with their path; empty: nowhere.
    std::string redirect;

    /// Set before the first url(): is called in each.
    std::function<void()> asked = [] {};

    /// Requests that had a user and a password.
    std::atomic<int> credentials{0};

    /// Requests that were answered with a file.
    std::atomic<int> served{0};

    /// Returns the URL of a repository; `user`: empty or with the `@`. Serves from the first call on: its threads begin
    /// after what was set.
    [[nodiscard]] std::string url(const std::string& user, const std::string& path)
    {
        if (!_server)
        {
            _server = std::make_unique<Poco::Net::HTTPServer>(new Factory(*this), _threads, _socket,
                                                              new Poco::Net::HTTPServerParams);
            _server->start();
        }
        return "http://" + user + _socket.address().toString() + "/" + path;
    }

private:
    class Handler: public Poco::Net::HTTPRequestHandler
    {
    public:
        explicit Handler(GitHttpServer& server) : _server(server) {}

        void handleRequest(Poco::Net::HTTPServerRequest& request,
                           Poco::Net::HTTPServerResponse& response) override
        {
            _server.asked();
            _server.credentials += request.hasCredentials() ? 1 : 0;
            if (!_server.redirect.empty())
                return response.redirect(_server.redirect + request.getURI());
            const auto file = _server._root / Poco::URI(request.getURI()).getPath().substr(1);
            if (!_server.knows(request))
                response.requireAuthentication("git");
            else if (std::filesystem::is_regular_file(file))
            {
                ++_server.served;
                return response.sendFile(file, "application/octet-stream");
            }
            else
                response.setStatus(Poco::Net::HTTPResponse::HTTP_NOT_FOUND);
            response.setContentLength(0);
            response.send();
        }

    private:
        GitHttpServer& _server;
    };

    class Factory: public Poco::Net::HTTPRequestHandlerFactory
    {
    public:
        explicit Factory(GitHttpServer& server) : _server(server) {}
        Poco::Net::HTTPRequestHandler*
        createRequestHandler(const Poco::Net::HTTPServerRequest& /*request*/) override
        {
            return new Handler(_server);
        }

    private:
        GitHttpServer& _server;
    };

    static Poco::Net::SocketAddress address() { return {"127.0.0.1", 0}; }

    [[nodiscard]] bool knows(Poco::Net::HTTPServerRequest& request) const
    {
        if (passwords.empty())
            return true;
        if (!request.hasCredentials())
            return false;
        const Poco::Net::HTTPBasicCredentials given(request);
        return passwords.contains(given.getUsername() + ":" + given.getPassword());
    }

    std::filesystem::path _root;
    Poco::ThreadPool _threads;
    Poco::Net::ServerSocket _socket;
    std::unique_ptr<Poco::Net::HTTPServer> _server;
};
