#include "agent/outbox/Webhook.h"

#include "agent/os/Sha256.h"

#include <Poco/Base64Encoder.h>
#include <Poco/URI.h>

#include <sstream>

namespace agent
{

namespace
{

std::string base64(const std::string& bytes)
{
    std::ostringstream out;
    Poco::Base64Encoder encoder(out);
    encoder.rdbuf()->setLineLength(0);
    encoder << bytes;
    encoder.close();
    return out.str();
}

} // namespace

TargetRequest webhookRequest(const TargetSpec& target, const Report& report)
{
    const std::string path = Poco::URI(target.url).getPathAndQuery();
    const std::int64_t seconds = nowMs() / 1000;
    TargetRequest request{
        .path = path.empty() ? "/" : path,
        .contentType = "application/cloudevents+json; charset=utf-8",
        .headers = {{"webhook-id", report.id}, {"webhook-timestamp", std::to_string(seconds)}},
        .body = report.body};
    if (!target.secret.empty())
        request.headers.emplace_back("webhook-signature",
                                     signatureOf(target.secret, report.id, seconds, report.body));
    if (!target.token.empty())
        request.headers.emplace_back("Authorization", "Bearer " + target.token);
    return request;
}

std::string signatureOf(const std::string& key, const std::string& id, std::int64_t seconds,
                        const std::string& body)
{
    const auto digest = hmacSha256(key, id + "." + std::to_string(seconds) + "." + body);
    return "v1," + base64(std::string(digest.begin(), digest.end()));
}

} // namespace agent
