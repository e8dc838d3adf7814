#include "agent/ctl/Client.h"

#include "agent/ctl/Failure.h"
#include "agent/ctl/HttpConnection.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Text.h"

#include <Poco/Exception.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/SSLException.h>
#include <Poco/String.h>
#include <Poco/URI.h>

#include <algorithm>
#include <array>
#include <istream>

namespace agent::ctl
{

namespace
{

using Clock = std::chrono::steady_clock;

constexpr int connectSeconds = 5;
// Far above any page of the API; bounds the answer of a server that is not an agent.
constexpr std::size_t maxBodyBytes = 64U << 20U;

std::string withoutEndSlash(std::string url)
{
    while (!url.empty() && url.back() == '/')
        url.pop_back();
    return url;
}

Exit exitFor(int status)
{
    switch (status)
    {
    case 404:
        return Exit::NotFound;
    case 409:
    case 412:
        return Exit::Conflict;
    default:
        return status >= 400 && status < 500 ? Exit::Refused : Exit::AgentFailed;
    }
}

} // namespace

std::string encoded(const std::string& text)
{
    std::string out;
    Poco::URI::encode(text, "!#$%&'()*+,/:;=?@[]", out);
    return out;
}

void refuse(const Answer& answer)
{
    const std::string status = std::to_string(answer.status);
    rapidjson::Document document;
    const rapidjson::Value* error = nullptr;
    if (parseJson(answer.body, document))
        error = member(document, "error");
    if (error == nullptr || !error->IsObject())
        // From a proxy or another server: its 404 does not mean "no such run".
        throw Failure(
            Exit::AgentFailed,
            "answer " + status + " is not from a stage-agent (" +
                (answer.contentType.empty() ? "no content type" : visible(answer.contentType)) +
                "): check the address");

    std::string message = visible(text(*error, "message"));
    if (message.empty())
        message = "the agent answered " + status;
    const std::string code = visible(text(*error, "code"));
    const std::string field = visible(text(*error, "field"));
    message += " (" + status + (code.empty() ? "" : " " + code) +
               (field.empty() ? "" : ", field " + field) + ")";
    if (answer.status == 401)
        message += "\nset a token: --token-file FILE or $STAGE_AGENT_TOKEN; the first one is in "
                   "admin.token in the agent's state folder";
    if (answer.status == 421)
        message += "\nadd " + visible(answer.host) + " to the agent's http.hosts";
    if (code == "draining") // waiting would not end it
        message += "\nto take new runs again: stagectl resume";
    else if (const auto after = answer.headers.find("retry-after"); after != answer.headers.end())
        message += "\ntry again in " + visible(after->second) + " s";
    throw Failure(exitFor(answer.status), message);
}

Client::Client(const std::string& url, std::string token, std::string caFile)
    : _url(withoutEndSlash(url)),
      _address(parseAddress(url)),
      _token(std::move(token)),
      _caFile(std::move(caFile))
{
}

Client Client::within(std::chrono::seconds span) const
{
    Client client = *this;
    client._end = Clock::now() + span;
    return client;
}

Answer Client::send(const Call& call) const
{
    return exchange(call, nullptr);
}

Answer Client::ask(const Call& call) const
{
    Answer answer = exchange(call, nullptr);
    if (answer.status < 200 || answer.status > 299)
        refuse(answer);
    return answer;
}

Answer Client::stream(const Call& call, const Sink& sink) const
{
    return exchange(call, &sink);
}

Answer Client::exchange(const Call& call, const Sink* sink) const
{
    const auto unreachable = [this](const std::string& why)
    {
        return Failure(
            Exit::Unreachable,
            "no answer from " + visible(_url) + ": " + visible(why) +
                "\ncheck that it runs: systemctl status stage-agent; for another address: "
                "--agent URL");
    };
    Answer answer;
    std::unique_ptr<HttpConnection> connection;
    bool begun = false;
    const auto started = Clock::now();
    const auto end = std::min(started + call.timeout, _end.value_or(Clock::time_point::max()));
    if (end <= started)
        throw unreachable("timed out");
    try
    {
        const auto left = std::chrono::duration_cast<std::chrono::microseconds>(end - started);
        connection = std::make_unique<HttpConnection>(_address, _caFile, left);
        Poco::Net::HTTPClientSession& session = connection->http();
        const Poco::Timespan timeout(left.count());
        session.setTimeout(std::min(timeout, Poco::Timespan(connectSeconds, 0)), timeout, timeout);
        session.setKeepAlive(false);

        Poco::Net::HTTPRequest request(call.method, _address.path + call.path,
                                       Poco::Net::HTTPMessage::HTTP_1_1);
        request.set("Host", connection->host());
        request.set("User-Agent", "stagectl/" STAGE_AGENT_VERSION);
        request.set("Accept", "application/json, text/plain");
        if (!_token.empty())
            request.set("Authorization", "Bearer " + _token);
        for (const auto& [name, value] : call.headers)
            request.set(name, value);
        if (!call.body.empty())
            request.setContentType("application/json");
        if (call.method != "GET")
            request.setContentLength(static_cast<std::streamsize>(call.body.size()));
        session.sendRequest(request) << call.body << std::flush;

        Poco::Net::HTTPResponse response;
        std::istream& body = session.receiveResponse(response);
        answer.status = response.getStatus();
        answer.contentType = response.getContentType();
        begun = true;
        if (answer.contentType == Poco::Net::HTTPMessage::UNKNOWN_CONTENT_TYPE)
            answer.contentType.clear();
        answer.host = request.getHost();
        for (const auto& [name, value] : response)
            answer.headers[Poco::toLower(name)] = value;

        const bool handOver = sink != nullptr && answer.status >= 200 && answer.status <= 299;
        std::array<char, 65536> buffer{};
        std::streamsize received = 0;
        while (body.good())
        {
            // As readsome: forward what has arrived; a log must not wait for 64 KiB.
            body.peek();
            std::streamsize size = body.rdbuf()->in_avail();
            if (size <= 0)
                break;
            size = std::min(size, static_cast<std::streamsize>(buffer.size()));
            body.read(buffer.data(), size);
            size = body.gcount();
            received += size;
            const std::string_view piece(buffer.data(), static_cast<std::size_t>(size));
            if (handOver)
            {
                (*sink)(answer, piece);
                continue;
            }
            answer.body += piece;
            if (answer.body.size() > maxBodyBytes)
                throw Failure(Exit::AgentFailed, "the answer is larger than 64 MiB");
            if (Clock::now() > end)
            {
                const auto took = std::chrono::duration_cast<std::chrono::seconds>(end - started);
                throw unreachable("the answer took longer than " + std::to_string(took.count()) +
                                  " s");
            }
        }
        if (const Poco::Exception* broken = session.networkException(); broken != nullptr)
            broken->rethrow();
        if (response.hasContentLength() && received < response.getContentLength64())
            throw unreachable("the answer was truncated");
        return answer;
    }
    catch (const Poco::TimeoutException&)
    {
        if (begun && call.mayPause)
            return answer;
        throw unreachable("timed out");
    }
    catch (const Poco::Net::SSLException& error)
    {
        if (const std::string problem = connection->certificateProblem(); !problem.empty())
            throw Failure(Exit::Unreachable, problem);
        throw unreachable("TLS: " + error.displayText() +
                          " (is it an agent without TLS? then the address begins with http://)");
    }
    catch (const Poco::Net::NoMessageException&)
    {
        throw unreachable("the connection was closed without an answer");
    }
    catch (const Poco::Net::MessageException&)
    {
        throw Failure(Exit::AgentFailed, "the answer from " + visible(_url) + " is not HTTP");
    }
    catch (const Poco::SyntaxException&)
    {
        throw Failure(Exit::AgentFailed, "the answer from " + visible(_url) + " is malformed");
    }
    catch (const Poco::Exception& error)
    {
        throw unreachable(error.displayText());
    }
}

} // namespace agent::ctl
