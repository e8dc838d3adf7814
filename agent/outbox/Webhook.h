#pragma once

#include "agent/outbox/TargetRequest.h"

#include <cstdint>
#include <string>

namespace agent
{

/// Returns a report as Standard Webhooks has it sent: the CloudEvent itself, signed with the present time.
TargetRequest webhookRequest(const TargetSpec& target, const Report& report);

/// Returns the value of `webhook-signature`: `v1,` and the base64 of the HMAC-SHA-256 of `ID.TIMESTAMP.BODY`.
/// Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
std::string signatureOf(const std::string& key, const std::string& id, std::int64_t seconds,
                        const std::string& body);

} // namespace agent
