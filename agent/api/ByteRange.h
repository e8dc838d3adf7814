#pragma once

#include "agent/api/Http.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace agent
{

/// A part of a content: its first byte and its last.
struct ByteRange
{
    std::int64_t first = 0;
    std::int64_t last = 0;

    [[nodiscard]] std::int64_t length() const { return last - first + 1; }
};

/// One `bytes=` range of a content of `size` bytes, which is `what`: "the log".
/// Returns nothing for none or one that is not understood (then all is sent). Source: RFC 9110, 14.1.2.
/// Errors: Refusal 416 when it lies outside.
std::optional<ByteRange> rangeOf(const std::string& header, std::int64_t size,
                                 const std::string& what);

/// The value of Content-Range. `size`: none: not known yet.
std::string contentRange(const ByteRange& range, std::optional<std::int64_t> size);

/// A descriptor of the same file, which closes itself with the last holder.
std::shared_ptr<int> ownedCopy(int descriptor);

} // namespace agent
