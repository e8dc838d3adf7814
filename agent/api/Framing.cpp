#include "agent/api/Framing.h"

#include <algorithm>
#include <optional>

namespace agent
{
namespace
{

// No header of ours comes near them.
constexpr std::size_t nameLimit = 256;
constexpr std::size_t valueLimit = 8'192;
constexpr std::size_t methodLimit = 32;
constexpr int headerLimit = 100;

constexpr std::int64_t largestLength = std::int64_t{1} << 53; // exact in a JSON number as well
constexpr int chunkLineLimit = 256;

constexpr std::string_view tokenMarks = "!#$%&'*+-.^_`|~";

bool isDigit(char c)
{
    return c >= '0' && c <= '9';
}

bool isTokenChar(char c)
{
    return isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           tokenMarks.find(c) != std::string_view::npos;
}

bool isToken(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), isTokenChar);
}

bool isControl(char c)
{
    return (c >= 0 && c < 0x20) || c == 0x7f;
}

std::string lower(std::string_view text)
{
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return result;
}

std::string_view trim(std::string_view text)
{
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

/// Says whether a comma-separated list holds `token`, given in lower case.
bool lists(std::string_view list, std::string_view token)
{
    while (!list.empty())
    {
        const std::size_t comma = std::min(list.find(','), list.size());
        if (lower(trim(list.substr(0, comma))) == token)
            return true;
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return false;
}

Refusal malformed(std::string message)
{
    return {.status = 400, .code = "malformed_request", .message = std::move(message), .field = ""};
}

Refusal tooLarge(std::string message)
{
    return {.status = 431, .code = "head_too_large", .message = std::move(message), .field = ""};
}

std::optional<Refusal> parseVersion(std::string_view version, Head& head)
{
    if (version == "HTTP/1.1")
        return std::nullopt;
    if (version == "HTTP/1.0")
    {
        head.version11 = false;
        head.keepAlive = false;
        return std::nullopt;
    }
    if (version.size() == 8 && version.substr(0, 5) == "HTTP/" && isDigit(version[5]) &&
        version[6] == '.' && isDigit(version[7]))
        return Refusal{.status = 505,
                       .code = "version_not_supported",
                       .message = "only HTTP/1.0 and HTTP/1.1 are spoken here",
                       .field = ""};
    return malformed("the request line does not end with a version");
}

/// A path, or the whole URL that a client writes for a proxy. Its host must be the header's: judge().
/// Source: RFC 9112, 3.2.1 and 3.2.2
std::optional<Refusal> parseForm(std::string_view target, Head& head)
{
    const std::string start = lower(target.substr(0, 8));
    const std::size_t scheme = start.starts_with("http://") ? 7 : start == "https://" ? 8 : 0;
    if (scheme > 0)
    {
        target.remove_prefix(scheme);
        const std::size_t end = std::min(target.find_first_of("/?"), target.size());
        head.authority = target.substr(0, end);
        target.remove_prefix(end);
        if (head.authority.empty() || head.authority.find('@') != std::string::npos)
            return malformed("the target names no host, or a user");
        if (target.empty() || target.front() == '?')
        {
            head.target = "/" + std::string(target);
            return std::nullopt;
        }
    }
    if (target.empty() || target.front() != '/')
        return malformed("the target is neither a path nor a URL");
    head.target = target;
    return std::nullopt;
}

std::optional<Refusal> parseRequestLine(std::string_view line, Head& head)
{
    const std::size_t first = line.find(' ');
    const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
    if (second == std::string_view::npos || line.find(' ', second + 1) != std::string_view::npos)
        return malformed("the request line is not METHOD target version");

    const std::string_view method = line.substr(0, first);
    const std::string_view target = line.substr(first + 1, second - first - 1);
    if (!isToken(method) || method.size() > methodLimit)
        return malformed("the method is no token");
    if (auto refusal = parseVersion(line.substr(second + 1), head))
        return refusal;
    if (target.size() > HeadScanner::targetLimit)
        return tooLarge("the target is longer than 8 KiB");
    for (const char c : target)
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return malformed("the target holds a character that must be percent-encoded");
    head.method = method;
    return parseForm(target, head);
}

/// The headers that decide about framing, as they stood in the head.
struct FramingHeaders
{
    int hosts = 0;
    int lengths = 0;
    int codings = 0;
    int expectations = 0;
    std::string coding;
};

std::optional<Refusal> parseLength(std::string_view value, Head& head)
{
    std::int64_t length = 0;
    if (value.empty())
        return malformed("Content-Length is empty");
    for (const char c : value)
    {
        if (!isDigit(c))
            return malformed("Content-Length is no number");
        length = length * 10 + (c - '0');
        if (length > largestLength)
            return malformed("Content-Length is out of range");
    }
    head.contentLength = length;
    return std::nullopt;
}

std::optional<Refusal> parseHeader(std::string_view line, Head& head, FramingHeaders& seen)
{
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !isToken(line.substr(0, colon)))
        return malformed("a header name is no token directly followed by a colon");
    const std::string name = lower(line.substr(0, colon));
    const std::string_view value = trim(line.substr(colon + 1));
    if (name.size() > nameLimit || value.size() > valueLimit)
        return tooLarge("a header is too long");
    for (const char c : value)
        if (isControl(c) && c != '\t')
            return malformed("a header holds a control character");

    const auto [entry, isNew] = head.headers.emplace(name, value);
    if (!isNew)
        entry->second.append(", ").append(value);

    if (name == "host")
        ++seen.hosts;
    else if (name == "content-length")
    {
        ++seen.lengths;
        return parseLength(value, head);
    }
    else if (name == "transfer-encoding")
    {
        ++seen.codings;
        seen.coding = lower(value);
    }
    else if (name == "connection")
    {
        if (lists(value, "close"))
            head.keepAlive = false;
        else if (!head.version11 && lists(value, "keep-alive"))
            head.keepAlive = true;
    }
    else if (name == "expect")
    {
        if (lower(value) != "100-continue")
            return Refusal{.status = 417,
                           .code = "expectation_failed",
                           .message = "only Expect: 100-continue is understood",
                           .field = ""};
        ++seen.expectations;
        head.expectContinue = head.version11;
    }
    return std::nullopt;
}

std::optional<Refusal> judge(const FramingHeaders& seen, Head& head)
{
    if (seen.hosts > 1 || (seen.hosts == 0 && head.version11))
        return malformed("exactly one Host header is needed");
    if (seen.lengths > 1)
        return malformed("more than one Content-Length");
    if (seen.expectations > 1)
        return malformed("more than one Expect");
    if (const auto host = head.headers.find("host"); !head.authority.empty())
    {
        // The standard lets the URL win; who stands in front may have gone by the header.
        if (host != head.headers.end() && lower(host->second) != lower(head.authority))
            return malformed("the target and Host name different hosts");
        head.headers["host"] = head.authority;
    }
    if (seen.codings == 0)
        return std::nullopt;
    if (seen.codings > 1 || seen.lengths > 0 || !head.version11)
        return malformed("Transfer-Encoding stands twice, beside Content-Length or on HTTP/1.0");
    if (seen.coding != "chunked")
        return Refusal{.status = 501,
                       .code = "coding_not_supported",
                       .message = "the only transfer coding understood is chunked",
                       .field = ""};
    head.chunked = true;
    return std::nullopt;
}

} // namespace

HeadScanner::State HeadScanner::scan(std::string_view bytes)
{
    const std::size_t end = std::min(bytes.size(), headLimit);
    while (_position < end)
    {
        const char c = bytes[_position];
        const char before = _position > 0 ? bytes[_position - 1] : '\0';
        if (_position == 0 && !isTokenChar(c))
            return State::Malformed;
        if ((c == '\n') != (before == '\r'))
            return State::Malformed;
        if (isControl(c) && c != '\r' && c != '\n' && c != '\t')
            return State::Malformed;
        if (_firstLine && (static_cast<unsigned char>(c) >= 0x80 || c == '\t'))
            return State::Malformed;
        if (_firstLine && _position > targetLimit + methodLimit + 16)
            return State::TooLarge;
        ++_position;
        if (c != '\n')
            continue;
        if (_position - _lineStart == 2)
            return State::Whole;
        _lineStart = _position;
        _firstLine = false;
    }
    return bytes.size() >= headLimit ? State::TooLarge : State::Partial;
}

std::variant<Head, Refusal> parseHead(std::string_view bytes)
{
    Head head;
    head.size = bytes.size();
    FramingHeaders seen;
    int headers = -1; // the request line is none
    while (true)
    {
        const std::size_t end = bytes.find("\r\n");
        if (end == std::string_view::npos)
            return malformed("the head has no end");
        const std::string_view line = bytes.substr(0, end);
        bytes.remove_prefix(end + 2);
        if (line.empty() && headers >= 0)
            break;
        if (++headers > headerLimit)
            return tooLarge("more than 100 headers");
        auto refusal = headers == 0 ? parseRequestLine(line, head) : parseHeader(line, head, seen);
        if (refusal)
            return *refusal;
    }
    if (!bytes.empty())
        return malformed("bytes after the head");
    if (auto refusal = judge(seen, head))
        return *refusal;
    return head;
}

std::size_t ChunkDecoder::feed(std::string_view bytes, std::string& body, std::int64_t limit)
{
    std::size_t used = 0;
    while (used < bytes.size() && _state == State::Partial)
    {
        if (_expect != Expect::Data)
        {
            step(bytes[used++]);
            if (static_cast<std::int64_t>(body.size()) + _left > limit)
                _state = State::TooLarge;
            continue;
        }
        const std::size_t part = std::min(bytes.size() - used, static_cast<std::size_t>(_left));
        body.append(bytes.substr(used, part));
        used += part;
        _left -= static_cast<std::int64_t>(part);
        if (_left == 0)
            _expect = Expect::DataCr;
    }
    return used;
}

void ChunkDecoder::step(char byte)
{
    constexpr std::string_view digits = "0123456789abcdef";
    const auto need = [&](char wanted, Expect next)
    {
        if (byte == wanted)
            _expect = next;
        else
            _state = State::Malformed;
    };
    switch (_expect)
    {
    case Expect::FirstDigit:
    case Expect::Digit:
    case Expect::Extension:
    {
        if (++_lineBytes > chunkLineLimit)
            _state = State::Malformed;
        const std::size_t digit = digits.find(lower({&byte, 1}));
        if (_expect != Expect::Extension && digit != std::string_view::npos)
        {
            _left = _left * 16 + static_cast<std::int64_t>(digit);
            _expect = Expect::Digit;
            if (_left > largestLength)
                _state = State::Malformed;
        }
        else if (_expect == Expect::FirstDigit)
            _state = State::Malformed;
        else if (byte == '\r')
            _expect = Expect::SizeLf;
        else if (_expect == Expect::Digit)
            need(';', Expect::Extension);
        else if (isControl(byte) && byte != '\t')
            _state = State::Malformed;
        break;
    }
    case Expect::SizeLf:
        _lineBytes = 0;
        need('\n', _left > 0 ? Expect::Data : Expect::LastCr);
        break;
    case Expect::DataCr:
        need('\r', Expect::DataLf);
        break;
    case Expect::DataLf:
        need('\n', Expect::FirstDigit);
        break;
    case Expect::LastCr:
        need('\r', Expect::LastLf);
        break;
    case Expect::LastLf:
        need('\n', Expect::LastLf);
        if (_state == State::Partial)
            _state = State::Done;
        break;
    case Expect::Data:
        break;
    }
}

} // namespace agent
