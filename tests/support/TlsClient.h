#pragma once

#include "tests/support/RawClient.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace agent::test
{

/// How a TlsClient begins.
struct TlsWishes
{
    int oldest = TLS1_2_VERSION;
    int newest = TLS1_3_VERSION;
    std::string protocols = {}; ///< for ALPN, each with its length before it
    SSL_SESSION* resumed = nullptr;
    int receiveBuffer = 0;
};

/// A client that encrypts, checks no certificate, and waits at most ten seconds.
class TlsClient
{
public:
    /// Errors: std::runtime_error with OpenSSL's reason when the handshake fails.
    explicit TlsClient(const std::string& url, const TlsWishes& wishes = {})
        : _context(SSL_CTX_new(TLS_client_method())), _socket(url, wishes.receiveBuffer)
    {
        const timeval patience{.tv_sec = RawClient::patience.count(), .tv_usec = 0};
        ::setsockopt(_socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        SSL_CTX_set_min_proto_version(_context.get(), wishes.oldest);
        SSL_CTX_set_max_proto_version(_context.get(), wishes.newest);
        SSL_CTX_set_security_level(_context.get(), 0); // also asks for what is too old
        _session.reset(SSL_new(_context.get()));
        if (!wishes.protocols.empty())
            SSL_set_alpn_protos(_session.get(),
                                reinterpret_cast<const unsigned char*>(wishes.protocols.data()),
                                static_cast<unsigned>(wishes.protocols.size()));
        if (wishes.resumed != nullptr)
            SSL_set_session(_session.get(), wishes.resumed);
        SSL_set_fd(_session.get(), _socket.fd());
        if (SSL_connect(_session.get()) != 1)
            throw std::runtime_error(reason());
    }

    [[nodiscard]] SSL* session() const { return _session.get(); }
    [[nodiscard]] RawClient& socket() { return _socket; }

    bool send(const std::string& bytes)
    {
        std::size_t sent = 0;
        return SSL_write_ex(_session.get(), bytes.data(), bytes.size(), &sent) == 1;
    }

    RawAnswer get(const std::string& target)
    {
        send("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
        return receive();
    }

    /// As takeAnswer().
    RawAnswer receive(bool bodyless = false)
    {
        return takeAnswer(
            _bytes, [this] { return more(); }, bodyless);
    }

    /// Reads until the server closes; `whole()` says how.
    std::string receiveAll()
    {
        while (more())
        {
        }
        return std::exchange(_bytes, {});
    }

    /// The server said that nothing was cut off.
    [[nodiscard]] bool whole() const
    {
        return (SSL_get_shutdown(_session.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
    }

    /// Reads at most `size` bytes more. Returns false at the end.
    bool more(std::size_t size = 65'536)
    {
        std::string buffer(size, '\0');
        std::size_t got = 0;
        ERR_clear_error();
        if (SSL_read_ex(_session.get(), buffer.data(), buffer.size(), &got) != 1)
            return false;
        _bytes.append(buffer, 0, got);
        return true;
    }

    [[nodiscard]] std::size_t held() const { return _bytes.size(); }

    static std::string reason()
    {
        const char* text = ERR_reason_error_string(ERR_peek_last_error());
        ERR_clear_error();
        return text != nullptr ? text : "the connection was closed";
    }

private:
    struct Free
    {
        void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
        void operator()(SSL* session) const { SSL_free(session); }
    };

    std::unique_ptr<SSL_CTX, Free> _context;
    RawClient _socket;
    std::unique_ptr<SSL, Free> _session;
    std::string _bytes;
};

} // namespace agent::test
