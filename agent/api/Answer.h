#pragma once

#include "agent/api/Http.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace agent
{

/// The one place where a refusal becomes an answer: status, headers and
/// `{"error": {"code", "message", "field"?}}`. What the texts quote of a request is cut and made visible
/// (control characters as `\x1b`); bytes that are no UTF-8 become U+FFFD.
Response answerTo(const Refusal& refusal);

/// The answer to a failure of ours: 500 with an id that stands in the log, nothing of the failure.
Response internalError(const std::string& id);

/// Writes the head of an answer, with its empty line.
/// `length` becomes Content-Length; there is none where it is absent or the status forbids it. Control
/// characters in header values become spaces.
std::string answerHead(const Response& response, std::optional<std::int64_t> length,
                       const std::string& connection);

/// The whole of a refusal in bytes, after which the connection is closed.
std::string closingAnswer(const Refusal& refusal);

} // namespace agent
