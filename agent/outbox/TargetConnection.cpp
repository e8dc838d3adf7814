#include "agent/outbox/TargetConnection.h"

#include "agent/outbox/Destination.h"

#include <Poco/Exception.h>
#include <Poco/Net/Context.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/HTTPSClientSession.h>
#include <Poco/Net/NetException.h>
#include <Poco/NumberParser.h>
#include <Poco/URI.h>

#include <algorithm>
#include <stdexcept>

#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

namespace agent
{

using Poco::Net::Context;
using Poco::Net::HTTPClientSession;
using Poco::Net::HTTPRequest;
using Poco::Net::HTTPResponse;
using Poco::Net::HTTPSClientSession;

namespace
{

const Poco::Timespan patience{10, 0};

/// What a target says in its answer has to be read before the next request.
constexpr std::size_t readBack = 65'536;

Context::Ptr tlsFor(const std::string& host, const std::filesystem::path& caFile)
{
    Context::Params params;
    params.verificationMode = Context::VERIFY_STRICT;
    params.loadDefaultCAs = caFile.empty();
    params.caLocation = caFile.string();
    Context::Ptr context = new Context(Context::TLS_CLIENT_USE, params);
    context->requireMinimumProtocol(Context::PROTO_TLSV1_2);
    // OpenSSL compares names and addresses itself, also `localhost`, which Poco does not.
    context->enableExtendedCertificateVerification(false);
    SSL_CTX* const native = context->sslContext();
    X509_VERIFY_PARAM* const checked = SSL_CTX_get0_param(native);
    Poco::Net::IPAddress numeric;
    if (Poco::Net::IPAddress::tryParse(host, numeric))
        X509_VERIFY_PARAM_set1_ip_asc(checked, host.c_str());
    else
        X509_VERIFY_PARAM_set1_host(checked, host.c_str(), host.size());
    X509_VERIFY_PARAM_set_flags(checked, X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify(native, SSL_VERIFY_PEER, nullptr);
    return context;
}

/// Returns the body of an answer, up to the bound.
std::string bodyOf(std::istream& in)
{
    std::string body(readBack, '\0');
    in.read(body.data(), static_cast<std::streamsize>(body.size()));
    body.resize(static_cast<std::size_t>(in.gcount()));
    return body;
}

/// Until when the target wants to be left alone. GitHub says it in headers of its own, in seconds of the epoch.
/// Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
std::string retryAfter(const HTTPResponse& response)
{
    std::string given = response.get("Retry-After", "");
    Poco::Int64 reset = 0;
    if (given.empty() && response.get("x-ratelimit-remaining", "") == "0" &&
        Poco::NumberParser::tryParse64(response.get("x-ratelimit-reset", ""), reset))
        given = std::to_string(std::max<Poco::Int64>(1, reset - nowMs() / 1000));
    return given;
}

} // namespace

/// A session that connects to no address that may not be one of the target's: looked at after its name was resolved.
template <typename Session> class TargetConnection::Checked: public Session
{
public:
    template <typename... Arguments>
    explicit Checked(TargetConnection& owner, Arguments&&... arguments)
        : Session(std::forward<Arguments>(arguments)...), _owner(owner)
    {
    }

    /// Connects without a request.
    void open() { this->reconnect(); }

protected:
    void connect(const Poco::Net::SocketAddress& address) override
    {
        // Behind a proxy the address is the proxy's, which the operator of this host chose.
        const auto problem = this->getProxyHost().empty()
                                 ? addressProblem(address.host(), _owner._target.linkLocal)
                                 : "";
        if (!problem.empty())
            throw std::runtime_error(problem);
        Session::connect(address);
        _owner.opened(this->socket().impl()->sockfd());
    }

private:
    TargetConnection& _owner;
};

TargetConnection::TargetConnection(TargetSpec target, std::filesystem::path caFile)
    : _target(std::move(target)), _caFile(std::move(caFile))
{
}

TargetConnection::~TargetConnection() = default;

void TargetConnection::opened(int descriptor)
{
    const std::lock_guard lock(_mutex);
    // Poco closes its own whenever it likes, and its number may be another file's then.
    _open = FileDescriptor(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    if (_aborted)
        throw std::runtime_error("stopped");
}

void TargetConnection::abort()
{
    const std::lock_guard lock(_mutex);
    _aborted = true;
    if (_open.valid())
        ::shutdown(_open.get(), SHUT_RDWR);
}

template <typename Session> void TargetConnection::hold(std::unique_ptr<Session> session)
{
    _reach = [held = session.get()] { held->open(); };
    _session = std::move(session);
}

void TargetConnection::connect()
{
    const Poco::URI uri(_target.url);
    if (uri.getScheme() == "https")
        hold(std::make_unique<Checked<HTTPSClientSession>>(*this, uri.getHost(), uri.getPort(),
                                                           tlsFor(uri.getHost(), _caFile)));
    else
        hold(std::make_unique<Checked<HTTPClientSession>>(*this, uri.getHost(), uri.getPort()));
    if (const auto proxy = proxyFor(uri.getScheme(), uri.getHost()))
    {
        _session->setProxy(proxy->host, proxy->port);
        if (!proxy->user.empty())
            _session->setProxyCredentials(proxy->user, proxy->password);
    }
    _session->setTimeout(patience, patience, patience);
    _session->setKeepAlive(true);
    _used = false;
}

Reply TargetConnection::exchange(const TargetRequest& wanted)
{
    if (!_session)
        connect();
    HTTPRequest request(HTTPRequest::HTTP_POST, wanted.path, HTTPRequest::HTTP_1_1);
    request.setContentType(wanted.contentType);
    request.setContentLength64(static_cast<Poco::Int64>(wanted.body.size()));
    request.set("User-Agent", "stage-agent/" STAGE_AGENT_VERSION);
    for (const auto& [name, value] : wanted.headers)
        request.set(name, value);
    _session->sendRequest(request) << wanted.body << std::flush;
    HTTPResponse response;
    const std::string body = bodyOf(_session->receiveResponse(response));
    _used = true;
    if (body.size() == readBack)
        _session->reset();
    const Reply reply = replyOf(response.getStatus(), retryAfter(response), nowMs());
    return wanted.judge ? wanted.judge(reply, response.getStatus(), body) : reply;
}

std::string TargetConnection::reach()
try
{
    connect();
    _reach();
    _session.reset();
    return "";
}
catch (const Poco::Exception& error)
{
    return error.displayText();
}
catch (const std::exception& error)
{
    return error.what();
}

Reply TargetConnection::post(const TargetRequest& request)
{
    // A kept connection may have been closed by the target at any time: that is no failure of the report.
    for (bool again = _session && _used;; again = false)
    {
        std::string text;
        try
        {
            return exchange(request);
        }
        catch (const Poco::TimeoutException&)
        {
            text = "no answer within 10 s";
            again = false;
        }
        catch (const Poco::Exception& error)
        {
            text = error.displayText();
        }
        catch (const std::exception& error)
        {
            text = error.what();
        }
        {
            const std::lock_guard lock(_mutex);
            _open.reset();
            again = again && !_aborted;
        }
        _session.reset();
        if (!again)
            return {.kind = Reply::Kind::Failed, .text = text};
    }
}

} // namespace agent
