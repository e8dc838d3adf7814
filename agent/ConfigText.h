#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

// What the texts of a configuration mean. Each returns nothing, or false, for a text that is none.

/// A whole number from `least` to `most`.
std::optional<std::int64_t> wholeFrom(const std::string& text, std::int64_t least,
                                      std::int64_t most);

/// `true` or `false`.
std::optional<bool> booleanFrom(const std::string& text);

/// Returns the time; nullopt for a bare number: meant as days but read as seconds, it would remove runs.
std::optional<std::int64_t> keptFrom(const std::string& text);

/// Returns what stands between commas.
std::vector<std::string> listFrom(const std::string& text);

/// Whether a client's Host header can be that: a name or an address, perhaps with a port. Source: RFC 3986, 3.2.2
bool canBeHost(const std::string& text);

/// Whether it is an http or https URL of a host, without query and fragment.
bool isHttpUrl(const std::string& text);

} // namespace agent
