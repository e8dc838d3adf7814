#include "agent/tls/ServerCertificate.h"

#include "agent/os/FileDescriptor.h"
#include "agent/os/Files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>

namespace agent
{

namespace
{

constexpr off_t mostBytes = 1 << 20; // a chain takes some 10 KB

struct FreeBio
{
    void operator()(BIO* bio) const { BIO_free(bio); }
};

/// `private key`: nobody else may read it.
std::string contentOf(const std::filesystem::path& file, bool isKey)
{
    // A link is followed: certbot's `live` folder holds nothing else.
    const FileDescriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat info = {};
    if (!opened.valid() || ::fstat(opened.get(), &info) != 0)
        throw CertificateError("can't read " + file.string() + ": " +
                               std::generic_category().message(errno) +
                               (errno == EACCES ? ". The agent's user must be able to: chgrp, or "
                                                  "LoadCredential= in the unit"
                                                : ""));
    if (!S_ISREG(info.st_mode) || info.st_size > mostBytes)
        throw CertificateError(
            file.string() + " is no PEM file: " +
            (S_ISREG(info.st_mode) ? "it is larger than 1 MiB" : "it is no regular file"));
    if (isKey && (info.st_mode & S_IRWXO) != 0)
        throw CertificateError(
            "the key " + file.string() + " is accessible to all users of this host: chmod o= " +
            file.string() + ", and replace key and certificate if it may have been read");
    const auto text = readAll(opened.get());
    if (!text)
        throw CertificateError("can't read " + file.string() + ": " +
                               std::generic_category().message(errno));
    return *text;
}

std::unique_ptr<BIO, FreeBio> reader(const std::string& text)
{
    return std::unique_ptr<BIO, FreeBio>(
        BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::int64_t secondsOf(const ASN1_TIME* time)
{
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        throw CertificateError("the certificate's dates are malformed: make a new one");
    return ::timegm(&parts);
}

/// Notes that a passphrase was asked for: there is nobody to ask.
int askPassphrase(char*, int, int, void* asked)
{
    *static_cast<bool*>(asked) = true;
    return -1;
}

} // namespace

void ServerCertificate::Free::operator()(X509* certificate) const
{
    X509_free(certificate);
}

void ServerCertificate::Free::operator()(EVP_PKEY* key) const
{
    EVP_PKEY_free(key);
}

ServerCertificate::ServerCertificate(const CertificateFiles& files)
{
    readCertificates(files.certificate);
    readKey(files);
    ERR_clear_error();
}

void ServerCertificate::readCertificates(const std::filesystem::path& file)
{
    const std::string text = contentOf(file, false);
    const auto in = reader(text);
    while (X509* const next = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr))
    {
        _chain.emplace_back(next);
        const auto from = secondsOf(X509_get0_notBefore(next));
        const auto until = secondsOf(X509_get0_notAfter(next));
        _validFrom = _chain.size() == 1 ? from : std::max(_validFrom, from);
        _expiresAt = _chain.size() == 1 ? until : std::min(_expiresAt, until);
    }
    const bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (_chain.empty() || !ended)
        throw CertificateError(file.string() +
                               " holds no PEM certificate, or one that is damaged: it must begin "
                               "with -----BEGIN CERTIFICATE-----");
}

void ServerCertificate::readKey(const CertificateFiles& files)
{
    const std::string text = contentOf(files.key, true);
    bool asked = false;
    _key.reset(PEM_read_bio_PrivateKey(reader(text).get(), nullptr, askPassphrase, &asked));
    if (!_key && asked)
        throw CertificateError("the key " + files.key.string() +
                               " has a passphrase, which nobody can enter at start: openssl pkey "
                               "-in OLD -out NEW, with mode 0600");
    if (!_key)
        throw CertificateError(files.key.string() + " holds no PEM private key");
    if (X509_check_private_key(_chain.front().get(), _key.get()) != 1)
        throw CertificateError(
            "the key " + files.key.string() + " does not belong to the first certificate in " +
            files.certificate.string() + ": the server's own must come first, then its issuers'");
}

void ServerCertificate::use(SSL_CTX* context) const
{
    bool right = SSL_CTX_use_certificate(context, _chain.front().get()) == 1 &&
                 SSL_CTX_use_PrivateKey(context, _key.get()) == 1;
    for (std::size_t i = 1; i < _chain.size(); ++i)
        right = right && SSL_CTX_add1_chain_cert(context, _chain[i].get()) == 1;
    if (right)
        return;
    const unsigned long error = ERR_get_error();
    ERR_clear_error();
    const char* reason = ERR_reason_error_string(error);
    throw CertificateError(std::string("OpenSSL refuses the certificate or its key: ") +
                           (reason != nullptr ? reason : "unknown") +
                           ". A key of RSA 2048 or EC P-256 is accepted");
}

} // namespace agent
