#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// A shorter secret can't be masked: it would be found in the middle of ordinary words.
constexpr std::size_t shortestSecret = 4;

/// Returns the forms in which a secret appears in a log: unchanged; base64 and base64url of a text that
/// contains it, at each of the three alignments; hexadecimal; as part of a URL, of JSON, of XML or of a
/// quoted shell word; and each line of a secret of several lines.
/// No form is returned twice, and none that is shorter than `shortestSecret`. Of base64 only the characters
/// that depend on the secret alone are returned, so that neither neighbours nor padding matter. An encoded
/// form that is broken into lines is not among them.
std::vector<std::string> secretEncodings(std::string_view secret);

} // namespace agent
