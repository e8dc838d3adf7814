#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// A shorter secret can't be masked: it would be found in the middle of innocent words.
constexpr std::size_t shortestSecret = 4;

/// The forms in which a secret turns up in a log: as it is; base64 and base64url of a text that contains
/// it, at each of the three alignments; hexadecimal; as part of a URL, of JSON, of XML, of a quoted shell
/// word; and each line of a secret of several lines.
/// Shape: no form twice, none shorter than `shortestSecret`. Of base64 only the characters that the secret
/// alone decides, so neighbours and padding do not matter; a form broken into lines is not known.
std::vector<std::string> disguises(std::string_view secret);

} // namespace agent
