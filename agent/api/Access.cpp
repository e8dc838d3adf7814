#include "agent/api/Access.h"

#include "agent/model/Utf8.h"

#include <algorithm>
#include <optional>

#include <unistd.h>

namespace agent
{

namespace
{

constexpr std::size_t longestPerson = 128;

const std::map<std::string, std::string> challenge{{"WWW-Authenticate", "Bearer"}};

/// What is behind `Bearer`; nothing when there is no such header. Source: RFC 6750, 2.1; RFC 9110, 11.1.
std::optional<std::string> bearerOf(const Request& request)
{
    const auto found = request.headers.find("authorization");
    if (found == request.headers.end())
        return std::nullopt;
    const std::string& text = found->second;
    constexpr std::string_view scheme = "bearer ";
    const bool bearer = text.size() > scheme.size() &&
                        std::equal(scheme.begin(), scheme.end(), text.begin(),
                                   [](char expected, char given)
                                   {
                                       const bool upper = given >= 'A' && given <= 'Z';
                                       return expected == (upper ? given - 'A' + 'a' : given);
                                   });
    if (!bearer)
        return ""; // of no token: Basic and the like
    const std::size_t begin = text.find_first_not_of(' ', scheme.size());
    const std::size_t end = text.find_last_not_of(' ');
    return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

/// Who counts as one peer when tokens are wrong.
std::string nameOf(const Peer& peer)
{
    return peer.door == Peer::Door::Unix ? "uid " + std::to_string(peer.uid) : peer.address;
}

Refusal noToken()
{
    return {.status = 401,
            .code = "token_missing",
            .message = "this needs a token, as `Authorization: Bearer TOKEN`; an admin makes one "
                       "with `stagectl token create`",
            .field = "Authorization",
            .headers = challenge};
}

/// The person whom a proxy has signed in; empty when it says nothing.
std::string personIn(const Request& request, const std::string& header)
{
    const std::string person = request.header(header);
    const bool printable = std::none_of(person.begin(), person.end(),
                                        [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (person.size() > longestPerson || !printable || !isUtf8(person))
        throw Refusal{.status = 400,
                      .code = "invalid_value",
                      .message = "the proxy's header must name a person with at most 128 bytes of "
                                 "UTF-8, without control characters",
                      .field = header};
    return person;
}

} // namespace

void Access::admit(Request& request, Role role)
{
    request.caller = {};
    if (const auto secret = bearerOf(request))
        admitBearer(request, *secret);
    else if (!_options.required)
    {
        const bool known = request.peer.door == Peer::Door::Unix;
        request.actor = known ? request.peer.user : request.peer.address;
        request.caller.role = Role::Admin;
    }
    else if (request.peer.door == Peer::Door::Unix)
        admitUser(request);
    else
        throw noToken();
    if (!request.caller.may(role))
        throw Refusal{.status = 403,
                      .code = "role_too_low",
                      .message = "this needs the role " + std::string(toString(role)) + "; '" +
                                 request.actor + "' has the role " +
                                 std::string(toString(*request.caller.role)),
                      .field = ""};
}

void Access::admitBearer(Request& request, const std::string& secret)
{
    const TimeMs now = nowMs();
    auto grant = _tokens.find(secret);
    const bool session = !grant;
    if (session)
        grant = _sessions.find(secret, now);
    if (!grant || !grant->valid(now))
        refuse(request, {.status = 401,
                         .code = "token_invalid",
                         .message = "this token is not valid: it was mistyped, revoked, or has "
                                    "expired; an admin makes one with `stagectl token create`",
                         .field = "Authorization",
                         .headers = challenge});
    const Token& token = grant->token;
    request.actor = token.name;
    if (token.proxy && !_options.proxyHeader.empty())
        if (const auto person = personIn(request, _options.proxyHeader); !person.empty())
            request.actor = person;
    request.caller = {.role = token.role, .services = token.services, .grant = grant};
    if (!session && _tokens.use(*grant, now))
        _options.used();
}

/// Source: unix(7), SO_PEERCRED and SO_PEERGROUPS, which the listener has read.
void Access::admitUser(Request& request) const
{
    const Peer& peer = request.peer;
    request.actor = peer.user;
    const bool member =
        peer.gid == _options.operators ||
        std::find(peer.groups.begin(), peer.groups.end(), _options.operators) != peer.groups.end();
    if (peer.uid == 0)
        request.caller.role = Role::Admin;
    else if (peer.uid == ::geteuid())
        throw Refusal{.status = 403,
                      .code = "not_an_operator",
                      .message = "'" + peer.user +
                                 "' runs the agent, and so do stages without a sandbox: send the "
                                 "token in admin.token in the agent's state folder",
                      .field = ""};
    else if (member && _options.operators != static_cast<gid_t>(-1))
        request.caller.role = Role::Operate;
    else
        throw Refusal{.status = 403,
                      .code = "not_an_operator",
                      .message = "'" + peer.user + "' is not in the group " +
                                 _options.operatorsGroup +
                                 ": an admin of this host adds people to it, or send a token",
                      .field = ""};
}

void Access::refuseCode(const Request& request)
{
    refuse(request, {.status = 401,
                     .code = "code_invalid",
                     .message = "this code was used before, or is older than a minute: call "
                                "`stagectl dashboard` again, or use a token",
                     .field = "code",
                     .headers = challenge});
}

/// A valid token is never delayed, so that no peer can lock out others behind its address.
void Access::refuse(const Request& request, const Refusal& refusal)
{
    if (_failures.failed(nameOf(request.peer)))
        throw Refusal{.status = 429,
                      .code = "too_many_failures",
                      .message = "too many wrong tokens came from here: try again in a second",
                      .field = "Authorization",
                      .headers = {{"Retry-After", "1"}}};
    throw refusal;
}

} // namespace agent
