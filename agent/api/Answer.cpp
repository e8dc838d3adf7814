#include "agent/api/Answer.h"

#include "agent/model/Characters.h"
#include "agent/model/Utf8.h"

#include <Poco/Net/HTTPResponse.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <ctime>

namespace agent
{
namespace
{

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

// A refusal quotes what the client sent.
constexpr std::size_t messageLimit = 8'192;
constexpr std::size_t fieldLimit = 512;

void member(Writer& writer, const char* name, const std::string& value,
            std::size_t limit = messageLimit)
{
    writer.Key(name);
    writer.String(visible(shortened(validUtf8(value), limit), "\n\t"));
}

std::string errorBody(const Refusal& refusal, const std::string& id)
{
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    writer.StartObject();
    writer.Key("error");
    writer.StartObject();
    member(writer, "code", refusal.code);
    member(writer, "message", refusal.message);
    if (!refusal.field.empty())
        member(writer, "field", refusal.field, fieldLimit);
    if (!id.empty())
        member(writer, "id", id);
    writer.EndObject();
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

/// Source: RFC 9110 section 5.6.7.
std::string httpDate()
{
    static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static thread_local std::time_t shown = -1;
    static thread_local std::string text;
    const std::time_t now = std::time(nullptr);
    if (now != shown)
    {
        std::tm utc{};
        gmtime_r(&now, &utc);
        char buffer[64];
        const std::size_t length = std::strftime(buffer, sizeof buffer, " %Y %H:%M:%S GMT", &utc);
        const std::string day = std::to_string(utc.tm_mday);
        text = std::string(days[utc.tm_wday]) + ", " + (day.size() < 2 ? "0" : "") + day + " " +
               months[utc.tm_mon] + std::string(buffer, length);
        shown = now;
    }
    return text;
}

void appendHeader(std::string& head, const std::string& name, const std::string& value)
{
    head += name;
    head += ": ";
    for (const char c : value)
        head += (c >= 0 && c < 0x20) || c == 0x7f ? ' ' : c;
    head += "\r\n";
}

std::string reason(int status)
{
    switch (status)
    {
    case 421:
        return "Misdirected Request";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return Poco::Net::HTTPResponse::getReasonForStatus(
            static_cast<Poco::Net::HTTPResponse::HTTPStatus>(status));
    }
}

} // namespace

Response answerTo(const Refusal& refusal)
{
    Response response;
    response.status = refusal.status;
    response.headers = refusal.headers;
    response.body = errorBody(refusal, "");
    return response;
}

Response internalError(const std::string& id)
{
    Response response;
    response.status = 500;
    response.body = errorBody({.status = 500,
                               .code = "internal",
                               .message = "internal error; the log has the details under " + id,
                               .field = ""},
                              id);
    return response;
}

std::string answerHead(const Response& response, std::optional<std::int64_t> length,
                       const std::string& connection)
{
    std::string head;
    head.reserve(256);
    head += "HTTP/1.1 ";
    head += std::to_string(response.status);
    head += ' ';
    head += reason(response.status);
    head += "\r\n";
    appendHeader(head, "Date", httpDate());
    const bool hasContent =
        response.status >= 200 && response.status != 204 && response.status != 304;
    if (hasContent && !response.contentType.empty())
        appendHeader(head, "Content-Type", response.contentType);
    if (hasContent && length)
        appendHeader(head, "Content-Length", std::to_string(*length));
    for (const auto& [name, value] : response.headers)
        appendHeader(head, name, value);
    if (!connection.empty())
        appendHeader(head, "Connection", connection);
    head += "\r\n";
    return head;
}

std::string closingAnswer(const Refusal& refusal)
{
    const Response response = answerTo(refusal);
    return answerHead(response, static_cast<std::int64_t>(response.body.size()), "close") +
           response.body;
}

} // namespace agent
