#pragma once

#include <Poco/InflatingStream.h>
#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/StreamCopier.h>
#include <Poco/URI.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

/// Bare repositories below a folder over http on loopback, by git's own protocol (git http-backend). It keeps what fetches
/// ask for.
class GitSmartServer
{
public:
    explicit GitSmartServer(std::filesystem::path root)
        : _root(std::move(root)),
          _socket(Poco::Net::SocketAddress("127.0.0.1", 0)),
          _server(new Factory(*this), _socket, new Poco::Net::HTTPServerParams)
    {
        _server.start();
    }
    ~GitSmartServer() { _server.stopAll(true); }
    GitSmartServer(const GitSmartServer&) = delete;
    GitSmartServer& operator=(const GitSmartServer&) = delete;

    [[nodiscard]] std::string url(const std::string& path) const
    {
        return "http://" + _socket.address().toString() + "/" + path;
    }

    /// Returns the requests for objects since the last call.
    [[nodiscard]] std::vector<std::string> takeFetches()
    {
        const std::lock_guard lock(_mutex);
        return std::exchange(_fetches, {});
    }

private:
    class Handler: public Poco::Net::HTTPRequestHandler
    {
    public:
        explicit Handler(GitSmartServer& server) : _server(server) {}

        void handleRequest(Poco::Net::HTTPServerRequest& request,
                           Poco::Net::HTTPServerResponse& response) override
        {
            std::string body;
            if (request.get("Content-Encoding", "") == "gzip")
            {
                Poco::InflatingInputStream unpacked(request.stream(),
                                                    Poco::InflatingStreamBuf::STREAM_GZIP);
                Poco::StreamCopier::copyToString(unpacked, body);
            }
            else if (request.getMethod() == "POST")
                Poco::StreamCopier::copyToString(request.stream(), body);
            const std::string answer = _server.answer(request, body);
            const auto head = answer.find("\r\n\r\n");
            constexpr const char* type = "Content-Type: ";
            const auto begin = answer.find(type) + std::string(type).size();
            response.setContentType(answer.substr(begin, answer.find('\r', begin) - begin));
            if (answer.starts_with("Status: "))
                response.setStatus(answer.substr(8, 3));
            response.sendBuffer(answer.data() + head + 4, answer.size() - head - 4);
        }

    private:
        GitSmartServer& _server;
    };

    class Factory: public Poco::Net::HTTPRequestHandlerFactory
    {
    public:
        explicit Factory(GitSmartServer& server) : _server(server) {}
        Poco::Net::HTTPRequestHandler*
        createRequestHandler(const Poco::Net::HTTPServerRequest& /*request*/) override
        {
            return new Handler(_server);
        }

    private:
        GitSmartServer& _server;
    };

    /// As a CGI program gives it.
    std::string answer(const Poco::Net::HTTPServerRequest& request, const std::string& body)
    {
        const std::lock_guard lock(_mutex);
        if (body.find("command=fetch") != std::string::npos)
            _fetches.push_back(body);
        const Poco::URI uri(request.getURI());
        const std::filesystem::path input = _root / "request";
        std::ofstream(input, std::ios::binary) << body;
        std::string command = "GIT_HTTP_EXPORT_ALL=1 REMOTE_ADDR=127.0.0.1";
        for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
                 {"GIT_PROJECT_ROOT", _root},
                 {"PATH_INFO", uri.getPath()},
                 {"QUERY_STRING", uri.getRawQuery()},
                 {"REQUEST_METHOD", request.getMethod()},
                 {"CONTENT_TYPE", request.getContentType()},
                 {"HTTP_GIT_PROTOCOL", request.get("Git-Protocol", "")}})
            command += " " + name + "='" + value + "'";
        command += " git http-backend <'" + input.string() + "' 2>/dev/null";
        std::string all;
        FILE* const pipe = ::popen(command.c_str(), "re"); // NOLINT: our own words
        if (pipe == nullptr)
            return all;
        char bytes[65'536];
        for (std::size_t got = 0; (got = std::fread(bytes, 1, sizeof bytes, pipe)) > 0;)
            all.append(bytes, got);
        ::pclose(pipe);
        return all;
    }

    std::filesystem::path _root;
    std::mutex _mutex;
    std::vector<std::string> _fetches;
    Poco::Net::ServerSocket _socket;
    Poco::Net::HTTPServer _server;
};
