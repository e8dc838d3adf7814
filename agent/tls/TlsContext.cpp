#include "agent/tls/TlsContext.h"

#include <Poco/Exception.h>
#include <Poco/Net/Context.h>

#include <openssl/ssl.h>

#include <string_view>

namespace agent
{

namespace
{

using Poco::Net::Context;

// What TLS 1.2 clients may use: forward secret and authenticated. TLS 1.3 has nothing else.
constexpr const char* ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

/// Answers `http/1.1`, or refuses: bytes meant for another protocol shall not become a request.
int selectProtocol(SSL*, const unsigned char** out, unsigned char* outSize,
                   const unsigned char* offered, unsigned offeredSize, void*)
{
    constexpr std::string_view ours = "\x08http/1.1";
    unsigned char* selected = nullptr;
    const int result = SSL_select_next_proto(
        &selected, outSize, reinterpret_cast<const unsigned char*>(ours.data()),
        static_cast<unsigned>(ours.size()), offered, offeredSize);
    *out = selected;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

Context::Ptr newContext()
{
    Context::Params params;
    params.verificationMode = Context::VERIFY_NONE;
    params.cipherList = ciphers;
    Context::Ptr context = new Context(Context::TLS_SERVER_USE, params);
    context->requireMinimumProtocol(Context::PROTO_TLSV1_2);
    SSL_CTX* const native = context->sslContext();
    SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    // A blocked write is repeated from another buffer; an idle connection keeps no buffers.
    SSL_CTX_set_mode(native, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    // One read for a record's head and body.
    SSL_CTX_set_read_ahead(native, 1);
    SSL_CTX_set_num_tickets(native, 1);
    SSL_CTX_set_alpn_select_cb(native, selectProtocol, nullptr);
    return context;
}

} // namespace

struct TlsContext::Loaded
{
    Context::Ptr context;
    std::int64_t expiresAt = 0;

    static std::shared_ptr<const Loaded> from(const CertificateFiles& files)
    try
    {
        const ServerCertificate certificate(files);
        auto loaded = std::make_shared<Loaded>();
        loaded->context = newContext();
        loaded->expiresAt = certificate.expiresAt();
        certificate.use(loaded->context->sslContext());
        return loaded;
    }
    catch (const Poco::Exception& error)
    {
        throw CertificateError("TLS can't be used: " + error.displayText());
    }
};

void FreeSsl::operator()(SSL* session) const
{
    SSL_free(session);
}

TlsContext::TlsContext(CertificateFiles files)
    : _files(std::move(files)), _loaded(Loaded::from(_files))
{
}

TlsContext::~TlsContext() = default;

void TlsContext::reload()
{
    auto loaded = Loaded::from(_files);
    const std::lock_guard lock(_mutex);
    _loaded.swap(loaded);
}

std::int64_t TlsContext::expiresAt() const
{
    const std::lock_guard lock(_mutex);
    return _loaded->expiresAt;
}

SslSession TlsContext::accept(int socket) const
{
    SslSession session;
    {
        const std::lock_guard lock(_mutex);
        session.reset(SSL_new(_loaded->context->sslContext())); // which shares the context
    }
    if (session == nullptr || SSL_set_fd(session.get(), socket) != 1)
        return {};
    SSL_set_accept_state(session.get());
    return session;
}

} // namespace agent
