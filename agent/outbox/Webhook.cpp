#include "agent/outbox/Webhook.h"

#include "agent/os/Sha256.h"
#include "agent/outbox/Destination.h"

#include <Poco/Base64Encoder.h>
#include <Poco/DateTimeFormat.h>
#include <Poco/DateTimeParser.h>
#include <Poco/Exception.h>
#include <Poco/Net/Context.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/HTTPSClientSession.h>
#include <Poco/Net/NetException.h>
#include <Poco/NumberParser.h>
#include <Poco/URI.h>

#include <algorithm>
#include <sstream>
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

/// What a target says in its answer is of no interest, but has to be read before the next request.
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

std::string base64(const std::string& bytes)
{
    std::ostringstream out;
    Poco::Base64Encoder encoder(out);
    encoder.rdbuf()->setLineLength(0);
    encoder << bytes;
    encoder.close();
    return out.str();
}

/// Reads the rest of an answer. Returns whether it ended within the bound.
bool readRest(std::istream& in)
{
    std::string buffer(4096, '\0');
    std::size_t left = readBack;
    while (left > 0 && in)
    {
        in.read(buffer.data(), static_cast<std::streamsize>(std::min(buffer.size(), left)));
        left -= static_cast<std::size_t>(in.gcount());
    }
    return left > 0;
}

} // namespace

/// A session that connects to no address that may not be one of the target's: looked at after its name was resolved.
template <typename Session> class Webhook::Checked: public Session
{
public:
    template <typename... Arguments>
    explicit Checked(Webhook& owner, Arguments&&... arguments)
        : Session(std::forward<Arguments>(arguments)...), _owner(owner)
    {
    }

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
    Webhook& _owner;
};

Webhook::Webhook(TargetSpec target, std::filesystem::path caFile)
    : _target(std::move(target)), _caFile(std::move(caFile))
{
}

Webhook::~Webhook() = default;

void Webhook::opened(int descriptor)
{
    const std::lock_guard lock(_mutex);
    // Poco closes its own whenever it likes, and its number may be another file's then.
    _open = FileDescriptor(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    if (_aborted)
        throw std::runtime_error("stopped");
}

void Webhook::abort()
{
    const std::lock_guard lock(_mutex);
    _aborted = true;
    if (_open.valid())
        ::shutdown(_open.get(), SHUT_RDWR);
}

void Webhook::connect()
{
    const Poco::URI uri(_target.url);
    if (uri.getScheme() == "https")
        _session = std::make_unique<Checked<HTTPSClientSession>>(
            *this, uri.getHost(), uri.getPort(), tlsFor(uri.getHost(), _caFile));
    else
        _session =
            std::make_unique<Checked<HTTPClientSession>>(*this, uri.getHost(), uri.getPort());
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

Reply Webhook::exchange(const Report& report)
{
    if (!_session)
        connect();
    Poco::URI uri(_target.url);
    const std::string path = uri.getPathAndQuery();
    HTTPRequest request(HTTPRequest::HTTP_POST, path.empty() ? "/" : path, HTTPRequest::HTTP_1_1);
    const std::int64_t seconds = nowMs() / 1000;
    request.setContentType("application/cloudevents+json; charset=utf-8");
    request.setContentLength64(static_cast<Poco::Int64>(report.body.size()));
    request.set("User-Agent", "stage-agent/" STAGE_AGENT_VERSION);
    request.set("webhook-id", report.id);
    request.set("webhook-timestamp", std::to_string(seconds));
    if (!_target.secret.empty())
        request.set("webhook-signature",
                    signatureOf(_target.secret, report.id, seconds, report.body));
    if (!_target.token.empty())
        request.set("Authorization", "Bearer " + _target.token);
    _session->sendRequest(request) << report.body << std::flush;
    HTTPResponse response;
    std::istream& in = _session->receiveResponse(response);
    _used = true;
    if (!readRest(in))
        _session->reset();
    return replyOf(response.getStatus(), response.get("Retry-After", ""), nowMs());
}

Reply Webhook::post(const Report& report)
{
    // A kept connection may have been closed by the target at any time: that is no failure of the report.
    for (bool again = _session && _used;; again = false)
    {
        std::string text;
        try
        {
            return exchange(report);
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

std::string signatureOf(const std::string& key, const std::string& id, std::int64_t seconds,
                        const std::string& body)
{
    const auto digest = hmacSha256(key, id + "." + std::to_string(seconds) + "." + body);
    return "v1," + base64(std::string(digest.begin(), digest.end()));
}

Reply replyOf(int status, const std::string& retryAfter, TimeMs now)
{
    Reply reply{.text = "HTTP " + std::to_string(status)};
    // 407 is the proxy's: the target has not seen the report.
    const bool later = status == 407 || status == 408 || status == 425 || status == 429;
    if (status >= 200 && status < 300)
        reply.kind = Reply::Kind::Confirmed;
    else if (status == 410)
        reply.kind = Reply::Kind::Gone;
    else if (status >= 400 && status < 500 && !later)
        reply.kind = Reply::Kind::Refused;
    if (reply.kind != Reply::Kind::Failed || retryAfter.empty())
        return reply;
    constexpr std::int64_t longestMs = 3'600'000;
    Poco::Int64 seconds = 0;
    Poco::DateTime date;
    int zone = 0;
    if (Poco::NumberParser::tryParse64(retryAfter, seconds))
        reply.waitMs = std::clamp<std::int64_t>(seconds, 0, longestMs / 1000) * 1000;
    else if (retryAfter.ends_with(" GMT") && // Poco takes anything for a date
             Poco::DateTimeParser::tryParse(Poco::DateTimeFormat::HTTP_FORMAT, retryAfter, date,
                                            zone))
        reply.waitMs = std::clamp<std::int64_t>(date.timestamp().epochMicroseconds() / 1000 - now,
                                                0, longestMs);
    return reply;
}

} // namespace agent
