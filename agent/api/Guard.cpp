#include "agent/api/Guard.h"

#include "agent/model/Utf8.h"

#include <algorithm>
#include <optional>

namespace agent
{
namespace
{

std::string lower(std::string_view text)
{
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return result;
}

[[noreturn]] void refusePath(const std::string& message)
{
    throw Refusal{.status = 400, .code = "malformed_path", .message = message, .field = "path"};
}

[[noreturn]] void refuseQuery(const std::string& message)
{
    throw Refusal{.status = 400, .code = "malformed_query", .message = message, .field = "query"};
}

int hexValue(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/// Returns nothing when an escape is broken.
std::optional<std::string> decode(std::string_view text, bool plusIsSpace)
{
    std::string result;
    result.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i)
    {
        if (text[i] == '%')
        {
            if (i + 2 >= text.size() || hexValue(text[i + 1]) < 0 || hexValue(text[i + 2]) < 0)
                return std::nullopt;
            result += static_cast<char>(hexValue(text[i + 1]) * 16 + hexValue(text[i + 2]));
            i += 2;
        }
        else
            result += plusIsSpace && text[i] == '+' ? ' ' : text[i];
    }
    return result;
}

std::string parseSegment(std::string_view raw)
{
    const auto segment = decode(raw, false);
    if (!segment)
        refusePath("the path holds a broken escape");
    if (*segment == "." || *segment == "..")
        refusePath("the path holds a dot segment");
    for (const char c : *segment)
        if (c == '/' || c == '\\' || (c >= 0 && c < 0x20) || c == 0x7f)
            refusePath("the path holds an encoded slash, a backslash or a control character");
    if (!isUtf8(*segment))
        refusePath("the path is no UTF-8");
    return *segment;
}

std::string parseQueryText(std::string_view raw)
{
    const auto text = decode(raw, true);
    if (!text)
        refuseQuery("the query holds a broken escape");
    if (text->find('\0') != std::string::npos || !isUtf8(*text))
        refuseQuery("the query is no UTF-8 text");
    return *text;
}

bool startsWith(const std::string& text, const std::string& prefix)
{
    return text.compare(0, prefix.size(), prefix) == 0;
}

bool changesState(const std::string& method)
{
    return method != "GET" && method != "HEAD" && method != "OPTIONS";
}

} // namespace

Target parseTarget(std::string_view target)
{
    Target result;
    const std::size_t question = std::min(target.find('?'), target.size());
    const std::string_view path = target.substr(0, question);
    if (path.empty() || path.front() != '/')
        refusePath("the path does not start with /");
    result.path = path;

    std::string_view rest = path.substr(1);
    while (path.size() > 1)
    {
        const std::size_t slash = std::min(rest.find('/'), rest.size());
        if (slash == 0 && slash < rest.size())
            refusePath("the path holds an empty segment");
        result.segments.push_back(parseSegment(rest.substr(0, slash)));
        if (slash == rest.size())
            break;
        rest.remove_prefix(slash + 1);
    }

    std::string_view query = target.substr(std::min(question + 1, target.size()));
    while (!query.empty())
    {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (pair.empty())
            continue;
        const std::size_t equals = std::min(pair.find('='), pair.size());
        result.query.emplace_back(parseQueryText(pair.substr(0, equals)),
                                  parseQueryText(pair.substr(std::min(equals + 1, pair.size()))));
    }
    return result;
}

Guard::Guard(const GuardOptions& options)
{
    const std::string port = ":" + std::to_string(options.port);
    const auto allow = [&](const std::string& name)
    {
        _hosts.insert(name + port);
        if (options.port == 80 || options.port == 443)
            _hosts.insert(name);
    };
    const std::string address = lower(options.address);
    const bool version6 = address.find(':') != std::string::npos && address.front() != '[';
    allow(version6 ? "[" + address + "]" : address);

    // With these ListeningSockets has the port on the loopback addresses of both families, as far as the host
    // has them: nobody else can be behind the names. A page elsewhere can't make a browser send them.
    const bool loopback = address == "127.0.0.1" || address == "::1" || address == "localhost";
    const bool wildcard = address == "0.0.0.0" || address == "::";
    if (loopback || wildcard)
    {
        allow("localhost");
        allow("127.0.0.1");
        if (options.loopback6)
            allow("[::1]");
    }

    // A proxy in front of us passes the name that its own clients used, mostly without a port.
    for (const std::string& name : options.hosts)
    {
        _hosts.insert(lower(name));
        allow(lower(name));
    }
}

void Guard::check(const Request& request) const
{
    const std::string host = lower(request.header("host"));
    // No web page can make a browser connect to the Unix socket.
    const bool known =
        _hosts.count(host) != 0 || (request.peer.door == Peer::Door::Unix && host == "localhost");
    if (!known)
        throw Refusal{.status = 421,
                      .code = "wrong_host",
                      .message = "this agent does not answer for that Host; see http.hosts",
                      .field = "Host"};

    const auto foreign = [](const std::string& field)
    {
        throw Refusal{.status = 403,
                      .code = "foreign_origin",
                      .message = "requests from other web sites are refused",
                      .field = field};
    };
    if (request.headers.count("origin") != 0)
    {
        const std::string origin = lower(request.header("origin"));
        const std::size_t scheme = startsWith(origin, "http://")    ? 7
                                   : startsWith(origin, "https://") ? 8
                                                                    : 0;
        if (scheme == 0 || _hosts.count(origin.substr(scheme)) == 0)
            foreign("Origin");
    }
    // A link to the dashboard, as in a chat, may be opened: its page holds no data and can't be framed.
    const bool opensDashboard = request.method == "GET" && request.segments.empty() &&
                                request.header("sec-fetch-mode") == "navigate" &&
                                request.header("sec-fetch-dest") == "document";
    if (lower(request.header("sec-fetch-site")) == "cross-site" && !opensDashboard)
        foreign("Sec-Fetch-Site");

    if (!changesState(request.method) || request.body.empty())
        return;
    std::string type = lower(request.header("content-type"));
    type.resize(std::min(type.find(';'), type.size()));
    while (!type.empty() && (type.back() == ' ' || type.back() == '\t'))
        type.pop_back();
    if (type != "application/json")
        throw Refusal{.status = 415,
                      .code = "unsupported_media_type",
                      .message = "the body must be application/json",
                      .field = "Content-Type"};
}

} // namespace agent
