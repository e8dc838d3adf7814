#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using EVP_PKEY = struct evp_pkey_st;
using SSL_CTX = struct ssl_ctx_st;
using X509 = struct x509_st;

namespace agent
{

/// PEM files of `http.tls_certificate` and `http.tls_key`.
struct CertificateFiles
{
    std::filesystem::path
        certificate; ///< the server's own first, then those that lead to its issuer
    std::filesystem::path key;
};

/// What is wrong with the files: the message names the file and what to do.
class CertificateError: public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

/// A certificate with its chain and its key, as read from the files.
/// Threads: any, immutable.
class ServerCertificate
{
public:
    /// Reads regular files of at most 1 MiB.
    /// Errors: CertificateError: a file can't be read or holds something else; the key is readable by all
    /// users, has a passphrase, or is another certificate's.
    explicit ServerCertificate(const CertificateFiles& files);

    /// Gives both to a context. Errors: CertificateError.
    void use(SSL_CTX* context) const;

    /// When the first of the chain expires, in seconds since the epoch.
    [[nodiscard]] std::int64_t expiresAt() const { return _expiresAt; }

    /// Since when all of the chain are valid.
    [[nodiscard]] std::int64_t validFrom() const { return _validFrom; }

private:
    struct Free
    {
        void operator()(X509* certificate) const;
        void operator()(EVP_PKEY* key) const;
    };

    void readCertificates(const std::filesystem::path& file);
    void readKey(const CertificateFiles& files);

    std::vector<std::unique_ptr<X509, Free>> _chain; ///< the server's own first
    std::unique_ptr<EVP_PKEY, Free> _key;
    std::int64_t _expiresAt = 0;
    std::int64_t _validFrom = 0;
};

} // namespace agent
