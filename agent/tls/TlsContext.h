#pragma once

#include "agent/tls/ServerCertificate.h"

#include <cstdint>
#include <memory>
#include <mutex>

using SSL = struct ssl_st;

namespace agent
{

struct FreeSsl
{
    void operator()(SSL* session) const;
};
using SslSession = std::unique_ptr<SSL, FreeSsl>;

/// What all TLS connections of the server share: the certificate, protocols from 1.2 on, ALPN `http/1.1`,
/// tickets for resumption, no renegotiation.
/// Threads: any.
class TlsContext
{
public:
    /// Errors: CertificateError.
    explicit TlsContext(CertificateFiles files);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    /// Reads the files again; connections keep what they began with.
    /// Errors: CertificateError; what was in use stays in use.
    void reload();

    /// When the certificate in use expires, in seconds since the epoch.
    [[nodiscard]] std::int64_t expiresAt() const;

    /// Returns a server's session on a connected, non-blocking socket, which stays the caller's.
    /// Errors: null when OpenSSL is out of memory.
    [[nodiscard]] SslSession accept(int socket) const;

private:
    struct Loaded;

    const CertificateFiles _files;
    mutable std::mutex _mutex;
    std::shared_ptr<const Loaded> _loaded; // guarded by _mutex
};

} // namespace agent
