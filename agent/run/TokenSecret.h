#pragma once

#include <string>
#include <string_view>

namespace agent
{

/// Returns a new secret: `prefix` and 64 hexadecimal digits, 32 bytes of the kernel's random numbers.
/// Errors: std::system_error when the kernel gives none. Source: getrandom(2).
std::string newSecret(std::string_view prefix);

/// Returns the SHA-256 of a secret, 64 hexadecimal digits.
std::string digestOf(std::string_view secret);

/// Compares two digests in a time that does not depend on where they differ.
bool equalDigests(std::string_view one, std::string_view other);

} // namespace agent
