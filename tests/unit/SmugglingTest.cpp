// No bytes become another request than the one that a strict reader sees: directly, over TLS and behind nginx.
// STAGE_AGENT_FRAMING_CASES: mutations for each way; scripts/fuzz-framing runs 100,000.
#include "agent/program/Program.h"
#include "agent/tls/TlsContext.h"
#include "tests/support/Certificates.h"
#include "tests/support/FilesFolder.h"
#include "tests/support/TestServer.h"
#include "tests/support/TlsClient.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <csignal>
#include <iostream>
#include <random>
#include <regex>
#include <sstream>

#include <strings.h>

namespace agent
{
namespace
{

using test::RawClient;
using test::TlsClient;
using Targets = std::vector<std::string>;

constexpr const char* nginxProgram = "/usr/sbin/nginx";
constexpr const char* frontHeader = "x-front";

/// Sees what a server's handler sees.
class Witness
{
public:
    explicit Witness(const TlsContext* tls)
        : _sockets({.port = 0, .tls = tls != nullptr}),
          _server({.tls = tls}, _sockets.take(),
                  {.answer = [this](const Request& request) { return note(request); }})
    {
        _server.start();
    }

    [[nodiscard]] std::uint16_t port() const { return _sockets.port(); }

    Targets take()
    {
        const std::lock_guard lock(_mutex);
        return std::exchange(_seen, {});
    }

    /// Requests that came without the header that nginx gives to each.
    int strangers()
    {
        const std::lock_guard lock(_mutex);
        return _strangers;
    }

private:
    Response note(const Request& request)
    {
        const std::lock_guard lock(_mutex);
        _seen.push_back(request.method + " " + request.path);
        _strangers += request.header(frontHeader) == "nginx" ? 0 : 1;
        return {.body = "{}"};
    }

    std::mutex _mutex;
    Targets _seen;
    int _strangers = 0;
    ListeningSockets _sockets;
    HttpServer _server;
};

/// Reads as the standard says, and gives up where it leaves a choice. Source: RFC 9112, 6 and 11.
class StrictReader
{
public:
    static Targets read(std::string bytes)
    {
        Targets targets;
        while (!bytes.empty())
        {
            StrictReader reader;
            if (!reader.takeHead(bytes) || !reader.takeBody(bytes))
                break;
            targets.push_back(reader._target);
        }
        return targets;
    }

private:
    bool takeHead(std::string& bytes)
    {
        const std::size_t end = bytes.find("\r\n\r\n");
        if (end == std::string::npos)
            return false;
        std::istringstream lines(bytes.substr(0, end + 2));
        bytes.erase(0, end + 4);
        std::string line;
        std::getline(lines, line);
        if (!plain(line))
            return false;
        _target = line.substr(0, line.rfind(' '));
        while (std::getline(lines, line))
            if (!plain(line) || !takeField(line))
                return false;
        return _lengths + (_chunked ? 1 : 0) <= 1 && _hosts.size() <= 1 && takeUrl();
    }

    /// Makes a path of a target that is a URL, whose host must be Host's. Source: RFC 9112, 3.2.2.
    bool takeUrl()
    {
        static const std::regex url("([^ ]+ )https?://([^/?]*)([^ ]*)", std::regex::icase);
        std::smatch parts;
        if (!std::regex_match(_target, parts, url))
            return true;
        const std::string host = parts[2];
        const std::string path = parts[3];
        if (host.empty() || host.find('@') != std::string::npos ||
            (!_hosts.empty() && ::strcasecmp(_hosts.front().c_str(), host.c_str()) != 0))
            return false;
        _target = parts[1].str() + (path.starts_with('/') ? "" : "/") + path;
        return true;
    }

    static bool plain(std::string& line)
    {
        if (line.empty() || line.back() != '\r')
            return false;
        line.pop_back();
        return std::none_of(line.begin(), line.end(),
                            [](unsigned char c)
                            { return c == '\r' || c == '\0' || (c < ' ' && c != '\t'); });
    }

    bool takeField(const std::string& line)
    {
        const std::size_t colon = line.find(':');
        if (colon == std::string::npos || colon == 0 || line.find_first_of(" \t") < colon)
            return false;
        std::string name = line.substr(0, colon);
        std::transform(name.begin(), name.end(), name.begin(), ::tolower);
        std::string value = line.substr(colon + 1);
        value.erase(0, std::min(value.find_first_not_of(" \t"), value.size()));
        value.erase(value.find_last_not_of(" \t") + 1);
        if (name == "host")
            _hosts.push_back(value);
        if (name == "content-length")
        {
            ++_lengths;
            if (value.empty() || value.size() > 9 ||
                value.find_first_not_of("0123456789") != std::string::npos)
                return false;
            _length = std::stoul(value);
        }
        if (name == "transfer-encoding")
        {
            std::transform(value.begin(), value.end(), value.begin(), ::tolower);
            if (_chunked || value != "chunked")
                return false;
            _chunked = true;
        }
        return true;
    }

    bool takeBody(std::string& bytes)
    {
        if (!_chunked)
        {
            const bool whole = bytes.size() >= _length;
            bytes.erase(0, _length);
            return whole;
        }
        while (true)
        {
            const std::size_t end = bytes.find("\r\n");
            const std::string line = bytes.substr(0, std::min(end, bytes.size()));
            // An extension behind `;` may say anything printable.
            const std::string size = line.substr(0, line.find(';'));
            if (std::any_of(line.begin(), line.end(),
                            [](unsigned char c) { return c < ' ' && c != '\t'; }))
                return false;
            if (end == std::string::npos || size.empty() || size.size() > 6 ||
                size.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
                return false;
            const std::size_t length = std::stoul(size, nullptr, 16);
            bytes.erase(0, end + 2);
            if (bytes.size() < length + 2 || bytes.compare(length, 2, "\r\n") != 0)
                return false;
            bytes.erase(0, length + 2);
            if (length == 0)
                return true;
        }
    }

    std::string _target;
    std::vector<std::string> _hosts;
    std::size_t _length = 0;
    int _lengths = 0;
    bool _chunked = false;
};

/// A request whose body holds another one, with up to four changes.
class Mutations
{
public:
    std::string next()
    {
        const std::string inner = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
        std::string bytes = pick(1) == 0 ? "POST /outer" : "POST http://localhost/outer";
        bytes += " HTTP/1.1\r\nHost: localhost\r\n";
        if (pick(1) == 0)
            bytes += "Content-Length: " + std::to_string(inner.size()) + "\r\n\r\n" + inner;
        else
        {
            std::ostringstream chunk;
            chunk << std::hex << inner.size() << "\r\n" << inner << "\r\n0\r\n\r\n";
            bytes += "Transfer-Encoding: chunked\r\n\r\n" + chunk.str();
        }
        for (std::size_t n = 1 + pick(3); n-- > 0;)
            if (pick(3) > 0)
                bytes.insert(pick(bytes.size()), parts[pick(std::size(parts) - 1)]);
            else
                bytes.erase(pick(bytes.size() - 1), 1 + pick(3));
        return bytes;
    }

private:
    static inline const std::string parts[] = {"\r\n",
                                               "\n",
                                               "\r",
                                               std::string(1, '\0'),
                                               " ",
                                               "\t",
                                               ":",
                                               ";",
                                               ",",
                                               "-",
                                               "+",
                                               "0",
                                               "5",
                                               "\x80",
                                               "\x0b",
                                               "chunked",
                                               "HTTP/1.0",
                                               "Content-Length: 0\r\n",
                                               "Content-Length: 7\r\n",
                                               "Content-Length: 3, 3\r\n",
                                               "Transfer-Encoding: chunked\r\n",
                                               "Transfer-Encoding:\x0b"
                                               "chunked\r\n",
                                               "Transfer-Encoding: identity\r\n",
                                               "Host: b\r\n",
                                               "Connection: close\r\n",
                                               "Connection: Content-Length\r\n",
                                               "Expect: 100-continue\r\n",
                                               "\r\n\r\n",
                                               "0\r\n\r\n",
                                               "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"};

    std::size_t pick(std::size_t most)
    {
        return std::uniform_int_distribution<std::size_t>(0, most)(_random);
    }

    std::mt19937 _random{20261127};
};

/// nginx in front of a server, plain and with TLS.
class Front
{
public:
    Front(const std::filesystem::path& folder, std::uint16_t upstream)
        : _folder(folder), _plain(freePort()), _tls(freePort())
    {
        std::ofstream(folder / "nginx.conf")
            << (::geteuid() == 0 ? "user root;\n" : "") << "worker_processes 1;\npid " << pidFile()
            << ";\nerror_log " << (folder / "nginx.log").string()
            << ";\nevents {}\nhttp {\naccess_log off;\n"
               "client_body_temp_path "
            << folder.string() << "; proxy_temp_path " << folder.string() << "; fastcgi_temp_path "
            << folder.string() << "; uwsgi_temp_path " << folder.string() << "; scgi_temp_path "
            << folder.string() << ";\nupstream agent { server 127.0.0.1:" << upstream
            << "; keepalive 4; }\nserver {\nlisten 127.0.0.1:" << _plain
            << ";\nlisten 127.0.0.1:" << _tls << " ssl;\nssl_certificate "
            << (folder / "server.pem").string() << ";\nssl_certificate_key "
            << (folder / "server.key").string()
            << ";\nlocation / {\nproxy_pass http://agent;\nproxy_http_version 1.1;\n"
               "proxy_set_header Connection \"\";\nproxy_set_header X-Front nginx;\n"
               // A client that has sent all and closed its side still waits for the answer.
               "proxy_ignore_client_abort on;\n"
               "proxy_request_buffering off;\n}\n}\n}\n";
        // In a session of its own: what stays of the program's group would be killed.
        const auto end = runProgram(
            {.argv = {"/usr/bin/setsid", "--wait", nginxProgram, "-c", folder / "nginx.conf"}});
        if (!end.passed())
            throw std::runtime_error("nginx: " + end.describe());
    }

    ~Front()
    {
        int pid = 0;
        std::ifstream(pidFile()) >> pid;
        if (pid > 0)
            ::kill(pid, SIGTERM);
        // It removes the file at its end.
        (void)test::eventually([&] { return !std::filesystem::exists(pidFile()); });
    }

    [[nodiscard]] std::uint16_t plain() const { return _plain; }
    [[nodiscard]] std::uint16_t tls() const { return _tls; }

private:
    [[nodiscard]] std::string pidFile() const { return (_folder / "nginx.pid").string(); }

    static std::uint16_t freePort() { return ListeningSockets({.port = 0}).port(); }

    std::filesystem::path _folder;
    std::uint16_t _plain;
    std::uint16_t _tls;
};

std::string exchangePlain(std::uint16_t port, const std::string& bytes)
{
    RawClient client("http://127.0.0.1:" + std::to_string(port));
    client.send(bytes);
    client.endSending();
    std::string answers;
    const auto end = std::chrono::steady_clock::now() + RawClient::patience;
    while (client.readSome(answers, std::chrono::milliseconds(200)))
        CPPUNIT_ASSERT_MESSAGE("it hangs on: " + bytes, std::chrono::steady_clock::now() < end);
    return answers;
}

std::string exchangeTls(std::uint16_t port, const std::string& bytes)
{
    TlsClient client("http://127.0.0.1:" + std::to_string(port));
    client.send(bytes);
    SSL_shutdown(client.session());
    client.socket().endSending();
    const auto begin = std::chrono::steady_clock::now();
    std::string answers = client.receiveAll();
    CPPUNIT_ASSERT_MESSAGE("it hangs on: " + bytes,
                           std::chrono::steady_clock::now() - begin < RawClient::patience);
    return answers;
}

/// Refusals of what is not implemented are no failures of the server.
void assertNoFailure(const std::string& answers, const std::string& bytes)
{
    for (std::size_t at = answers.find("HTTP/1.1 5"); at != std::string::npos;
         at = answers.find("HTTP/1.1 5", at + 1))
    {
        const std::string status = answers.substr(at + 9, 3);
        CPPUNIT_ASSERT_MESSAGE(status + " for: " + bytes, status == "501" || status == "505");
    }
}

bool isPrefix(const Targets& seen, const Targets& expected)
{
    return seen.size() <= expected.size() && std::equal(seen.begin(), seen.end(), expected.begin());
}

int cases()
{
    const char* given = std::getenv("STAGE_AGENT_FRAMING_CASES");
    return given != nullptr ? std::atoi(given) : 400;
}

} // namespace

class SmugglingTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SmugglingTest);
    CPPUNIT_TEST(testNothingIsSmuggledDirectly);
    CPPUNIT_TEST(testNothingIsSmuggledOverTls);
    CPPUNIT_TEST(testNothingIsSmuggledBehindNginx);
    CPPUNIT_TEST(testNothingIsSmuggledBehindNginxWithTls);
    CPPUNIT_TEST_SUITE_END();

    using Exchange = std::string (*)(std::uint16_t, const std::string&);

    FilesFolder _files;

    void sendAll(const std::function<void(const std::string&)>& send) const
    {
        for (const auto& [status, bytes] : test::ambiguousRequests())
            send(bytes);
        Mutations mutations;
        for (int i = 0; i < cases(); ++i)
            send(mutations.next());
    }

    void testDirectly(const TlsContext* tls, Exchange exchange) const
    {
        Witness witness(tls);
        std::size_t served = 0;
        sendAll(
            [&](const std::string& bytes)
            {
                assertNoFailure(exchange(witness.port(), bytes), bytes);
                const Targets seen = witness.take();
                served += seen.size();
                CPPUNIT_ASSERT_MESSAGE("another request was seen in: " + bytes,
                                       isPrefix(seen, StrictReader::read(bytes)));
            });
        CPPUNIT_ASSERT(served > 0); // not all are refused: the comparison means something
    }

    void testBehindNginx(bool tls, Exchange exchange) const
    {
        if (!std::filesystem::exists(nginxProgram))
        {
            std::cerr << "skipped: nginx is not installed\n";
            return;
        }
        test::Certificate({}).write(_files.path(), "server");
        Witness witness(nullptr);
        const Front front(_files.path(), witness.port());
        std::size_t served = 0;
        sendAll(
            [&](const std::string& bytes)
            {
                assertNoFailure(exchange(tls ? front.tls() : front.plain(), bytes), bytes);
                served += witness.take().size();
                CPPUNIT_ASSERT_EQUAL_MESSAGE("a request that nginx has not sent was seen in: " +
                                                 bytes,
                                             0, witness.strangers());
            });
        CPPUNIT_ASSERT(served > 0);
    }

public:
    void testNothingIsSmuggledDirectly() { testDirectly(nullptr, exchangePlain); }

    void testNothingIsSmuggledOverTls()
    {
        test::Certificate({}).write(_files.path(), "server");
        const TlsContext tls({_files.path() / "server.pem", _files.path() / "server.key"});
        testDirectly(&tls, exchangeTls);
    }

    void testNothingIsSmuggledBehindNginx() { testBehindNginx(false, exchangePlain); }
    void testNothingIsSmuggledBehindNginxWithTls() { testBehindNginx(true, exchangeTls); }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SmugglingTest);

} // namespace agent
