#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// A shorter secret can't be masked: it would be found in the middle of ordinary words.
constexpr std::size_t shortestSecret = 4;

/// Whether it is so short and plain (under 8 characters, all letters of one case or all digits) that it may be a word, or
/// a part of one, that a log has for other reasons: all of them are masked.
bool mayBeAWord(std::string_view secret);

/// Returns the forms in which a secret appears in a log: unchanged; base64 and base64url of a text that
/// contains it, at each of the three alignments; hexadecimal, also with blanks or colons between the bytes; as
/// part of a URL (also of one in a URL), of JSON (also of a text within a text), of XML or HTML; as shells, languages and
/// libraries quote it (`'…'`, `"…"`, `$'…'`, with backslashes: bash, dash, printf %q, shlex, repr, addslashes, re.escape, SQL,
/// CSV, YAML, Compose); and each line of a secret of several lines.
/// No form is returned twice, and none that is shorter than `shortestSecret`: a secret of letters and digits has about
/// twelve, one full of quotes fifty. Of base64 only the characters
/// that depend on the secret alone are returned, so that neither neighbours nor padding matter. What is broken into
/// lines the masker finds (WrappedText.h).
std::vector<std::string> secretEncodings(std::string_view secret);

} // namespace agent
