// Tokens, and the sessions of dashboards.
#include "agent/api/Json.h"
#include "agent/api/Routes.h"
#include "agent/run/TokenCommands.h"
#include "agent/run/TokenSecret.h"

namespace agent
{

namespace
{

constexpr std::string_view tokenPrefix = "sat_";

/// An answer with a secret in it is kept by no cache.
Response secretAnswer(int status, std::string body)
{
    return {.status = status, .headers = {{"Cache-Control", "no-store"}}, .body = std::move(body)};
}

} // namespace

Response listTokens(const ApiParts& api, const Request&, const std::string&)
{
    using Listed = TokenCatalog::Listed;
    return arrayOf(elementsOf<Listed>(api.access.tokens.all(),
                                      [](const Listed& token) { return toApiJson(token); }));
}

Response createToken(const ApiParts& api, const Request& request, const std::string&)
{
    Token token = tokenFrom(request.body.empty() ? "{}" : request.body);
    token.createdAt = nowMs();
    if (token.expiresAt && *token.expiresAt <= token.createdAt)
        throw Declined::invalid("expiresAt", "expiresAt is in the past");
    const std::string secret = newSecret(tokenPrefix);
    token.digest = digestOf(secret);
    commands::createToken(api.engine, api.access.tokens, token);
    Response response = secretAnswer(201, tokenJson(token, secret));
    response.headers["Location"] = "/api/tokens/" + token.name;
    return response;
}

Response revokeToken(const ApiParts& api, const Request&, const std::string& name)
{
    return {.body = tokenJson(commands::revokeToken(api.engine, api.access.tokens, name), "")};
}

Response inviteToDashboard(const ApiParts& api, const Request& request, const std::string&)
{
    const TimeMs now = nowMs();
    return secretAnswer(
        201, invitationJson(api.access.sessions.invite(request.actor, request.caller, now),
                            now + Sessions::codeMs, api.url));
}

Response openSession(const ApiParts& api, const Request& request, const std::string&)
{
    const auto session =
        api.access.sessions.open(codeFrom(request.body.empty() ? "{}" : request.body));
    if (!session)
        api.access.access.refuseCode(request);
    return secretAnswer(201, tokenJson(session->grant->token, session->secret));
}

} // namespace agent
