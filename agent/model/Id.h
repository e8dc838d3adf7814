#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace agent
{

/// Makes a UUID of version 4, lower case, from the kernel's random source.
/// Errors: std::system_error when the kernel gives no randomness.
/// Threads: any.
std::string newId();

/// Reads a UUID of any version in its canonical form, upper or lower case.
/// Shape: the id in lower case; nothing when `text` is no UUID.
std::optional<std::string> parseId(std::string_view text);

/// Says whether `text` is a UUID of version 4 in lower case, the only kind that we make.
bool isVersion4(std::string_view text);

} // namespace agent
