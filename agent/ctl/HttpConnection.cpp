#include "agent/ctl/HttpConnection.h"

#include "agent/ctl/CertificateWords.h"
#include "agent/ctl/Failure.h"
#include "agent/ctl/Text.h"
#include "agent/ctl/UnixConnection.h"

#include <Poco/Net/Context.h>
#include <Poco/Net/HTTPSClientSession.h>
#include <Poco/Net/IPAddress.h>
#include <Poco/Net/SSLException.h>
#include <Poco/Net/StreamSocketImpl.h>

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <cerrno>
#include <system_error>

#include <unistd.h>

namespace agent::ctl
{

namespace
{

[[noreturn]] void cannotOpen(const std::string& socket, int error)
{
    const std::string seen =
        "can't open " + visible(socket) + ": " + std::generic_category().message(error);
    const std::string other = "; for another address: --agent URL";
    const std::string group = groupThatMayOpen(socket);
    if (error == EACCES)
        throw Failure(Exit::Unreachable,
                      seen +
                          (group.empty()
                               ? "\nits folder is closed to this user"
                               : "\nit is for members of the group " + group +
                                     ": sudo usermod -aG " + group + " USER, then log in again") +
                          other);
    throw Failure(Exit::Unreachable,
                  seen +
                      "\ncheck that the agent runs: systemctl status stage-agent, and that its "
                      "http.socket is this one" +
                      other);
}

} // namespace

/// What the check of the agent's certificate found.
struct HttpConnection::Verification
{
    Poco::Net::Context::Ptr context;
    std::string host;
    std::string problem;

    static int note(int passed, X509_STORE_CTX* store)
    {
        const auto* const ssl = static_cast<SSL*>(
            X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
        auto* const self = static_cast<Verification*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
        if (passed == 0 && self->problem.empty())
            self->problem = certificateWords(X509_STORE_CTX_get_error(store), self->host,
                                             X509_STORE_CTX_get_current_cert(store));
        return passed;
    }
};

HttpConnection::HttpConnection(const Address& address, const std::string& caFile,
                               std::chrono::microseconds timeout)
    : _address(address)
{
    if (address.scheme == Address::Scheme::Https)
        useTls(caFile);
    else if (address.scheme == Address::Scheme::Http)
        _http = std::make_unique<Poco::Net::HTTPClientSession>(address.host, address.port);
    else
    {
        const int fd = connectUnix(address.socket, timeout);
        if (fd < 0)
            cannotOpen(address.socket, errno);
        _http = std::make_unique<Poco::Net::HTTPClientSession>(
            Poco::Net::StreamSocket(new Poco::Net::StreamSocketImpl(fd)));
    }
}

HttpConnection::~HttpConnection() = default;

void HttpConnection::useTls(const std::string& caFile)
{
    using Poco::Net::Context;
    _verification = std::make_unique<Verification>();
    _verification->host = _address.host;
    try
    {
        Context::Params params;
        params.verificationMode = Context::VERIFY_STRICT;
        params.loadDefaultCAs = caFile.empty();
        params.caLocation = caFile;
        _verification->context = new Context(Context::TLS_CLIENT_USE, params);
    }
    catch (const Poco::Exception& error)
    {
        throw Failure(Exit::Usage, "can't use the certificates in " + visible(caFile) + ": " +
                                       error.displayText() +
                                       "\nca-file must name a readable PEM file");
    }
    Context& context = *_verification->context;
    context.requireMinimumProtocol(Context::PROTO_TLSV1_2);
    // OpenSSL compares names and addresses itself, also with `localhost`, which Poco does not.
    context.enableExtendedCertificateVerification(false);
    SSL_CTX* const native = context.sslContext();
    X509_VERIFY_PARAM* const checked = SSL_CTX_get0_param(native);
    Poco::Net::IPAddress numeric;
    if (Poco::Net::IPAddress::tryParse(_address.host, numeric))
        X509_VERIFY_PARAM_set1_ip_asc(checked, _address.host.c_str());
    else
        X509_VERIFY_PARAM_set1_host(checked, _address.host.c_str(), _address.host.size());
    // A certificate that the user named is believed, also where it is not an authority's.
    X509_VERIFY_PARAM_set_flags(checked, X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_app_data(native, _verification.get());
    SSL_CTX_set_verify(native, SSL_VERIFY_PEER, &Verification::note);
    _http = std::make_unique<Poco::Net::HTTPSClientSession>(_address.host, _address.port,
                                                            _verification->context);
}

std::string HttpConnection::host() const
{
    if (_address.scheme == Address::Scheme::Unix)
        return "localhost";
    const bool version6 = _address.host.find(':') != std::string::npos;
    const std::string host = version6 ? "[" + _address.host + "]" : _address.host;
    const std::uint16_t usual = _address.scheme == Address::Scheme::Https ? 443 : 80;
    return _address.port == usual ? host : host + ":" + std::to_string(_address.port);
}

std::string HttpConnection::certificateProblem() const
{
    return _verification ? _verification->problem : "";
}

bool mayOpen(const std::string& socket, std::string& refusal)
{
    const int fd = connectUnix(socket, std::chrono::seconds(1));
    const int error = errno;
    if (fd >= 0)
        ::close(fd);
    const std::string group = groupThatMayOpen(socket);
    if (fd < 0 && error == EACCES && !group.empty())
        refusal = socket + " is for members of the group " + group;
    return fd >= 0;
}

} // namespace agent::ctl
