#include "agent/model/SecretEncodings.h"

#include <algorithm>
#include <cstdint>

namespace agent
{

namespace
{

constexpr std::string_view lowerDigits = "0123456789abcdef";
constexpr std::string_view upperDigits = "0123456789ABCDEF";

bool isAlphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

void appendHex(std::string& out, std::uint32_t value, int digits, std::string_view alphabet)
{
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        out += alphabet[(value >> shift) & 0xF];
}

/// Returns the characters that depend on the secret alone when `before` bytes precede it in a group.
std::string base64Inside(std::string_view secret, std::size_t before, std::string_view marks)
{
    static constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const std::size_t firstBit = 8 * before;
    const std::size_t endBit = firstBit + 8 * secret.size();
    std::string out;
    for (std::size_t bit = (firstBit + 5) / 6 * 6; bit + 6 <= endBit; bit += 6)
    {
        const std::size_t byte = (bit - firstBit) / 8;
        const auto high = static_cast<std::uint8_t>(secret[byte]);
        const auto low =
            static_cast<std::uint8_t>(byte + 1 < secret.size() ? secret[byte + 1] : '\0');
        const unsigned pair = static_cast<unsigned>(high) << 8 | low;
        const unsigned value = pair >> (10 - (bit - firstBit) % 8) & 0x3F;
        out += value < letters.size() ? letters[value] : marks[value - letters.size()];
    }
    return out;
}

std::string urlEncoded(std::string_view secret, std::string_view kept, bool plus,
                       std::string_view alphabet)
{
    std::string out;
    for (const char c : secret)
    {
        if (isAlphanumeric(c) || kept.find(c) != kept.npos)
            out += c;
        else if (plus && c == ' ')
            out += '+';
        else
        {
            out += '%';
            appendHex(out, static_cast<std::uint8_t>(c), 2, alphabet);
        }
    }
    return out;
}

struct CodePoint
{
    std::uint32_t value = 0;
    std::size_t length = 1;
};

/// Returns the code point of several bytes that begins at `at`; one of length 1 when there is none.
CodePoint codePoint(std::string_view text, std::size_t at)
{
    const auto lead = static_cast<std::uint8_t>(text[at]);
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || at + length > text.size())
        return {};
    std::uint32_t value = lead & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i)
    {
        const auto next = static_cast<std::uint8_t>(text[at + i]);
        if ((next & 0xC0) != 0x80)
            return {};
        value = value << 6 | (next & 0x3F);
    }
    return {.value = value, .length = length};
}

void appendJsonEscape(std::string& out, std::uint32_t value)
{
    if (value >= 0x10000)
    {
        appendJsonEscape(out, 0xD800 + ((value - 0x10000) >> 10));
        appendJsonEscape(out, 0xDC00 + ((value - 0x10000) & 0x3FF));
        return;
    }
    out += "\\u";
    appendHex(out, value, 4, lowerDigits);
}

/// `special`: more characters to escape as \u…, `slash`: / as \/, `ascii`: no byte over 127.
std::string jsonEscaped(std::string_view secret, std::string_view special, bool slash, bool ascii)
{
    static constexpr std::string_view plain = "\"\\\n\r\t\b\f";
    static constexpr std::string_view named = "\"\\nrtbf";
    std::string out;
    for (std::size_t at = 0; at < secret.size();)
    {
        const char c = secret[at];
        const CodePoint point = ascii ? codePoint(secret, at) : CodePoint{};
        if (const std::size_t name = plain.find(c); name != plain.npos)
            (out += '\\') += named[name];
        else if (slash && c == '/')
            out += "\\/";
        else if (static_cast<std::uint8_t>(c) < 0x20 || special.find(c) != special.npos)
            appendJsonEscape(out, static_cast<std::uint8_t>(c));
        else if (point.length > 1)
            appendJsonEscape(out, point.value);
        else
            out += c;
        at += point.length;
    }
    return out;
}

std::string replaced(std::string_view text, char what, std::string_view by)
{
    std::string out;
    for (const char c : text)
        c == what ? out += by : out += c;
    return out;
}

/// How control characters are written.
enum class Controls
{
    Kept,  ///< bash's double quotes, quotemeta, addslashes
    Named, ///< \n, \r, \t and so on; \xNN for the others: repr, Go, Rust
    Octal  ///< \n, \r, \t, \E …; \NNN for the others: bash's $'…'
};

/// Backslashes before the characters `special`. From `firstHigh` on bytes are control characters, too.
std::string backslashed(std::string_view secret, std::string_view special, Controls controls,
                        std::uint8_t firstHigh = 0xFF)
{
    static constexpr std::string_view plain = "\n\r\t\a\b\f\v\x1b";
    static constexpr std::string_view named = "nrtabfvE";
    std::string out;
    for (const char c : secret)
    {
        const auto byte = static_cast<std::uint8_t>(c);
        const bool control =
            controls != Controls::Kept && (byte < 0x20 || byte == 0x7F || byte >= firstHigh);
        const std::size_t name = plain.substr(0, controls == Controls::Octal ? 8 : 3).find(c);
        if (control && name != plain.npos)
            (out += '\\') += named[name];
        else if (control && controls == Controls::Named)
            appendHex(out += "\\x", byte, 2, lowerDigits);
        else if (control)
            for (const int shift : {6, 3, 0})
                (out += shift == 6 ? "\\" : "") += static_cast<char>('0' + (byte >> shift & 7));
        else
            (special.find(c) != special.npos ? out += '\\' : out) += c;
    }
    return out;
}

/// dash's way: each run of apostrophes stands in double quotes, between what stands in single ones.
std::string dashQuoted(std::string_view secret)
{
    std::string out;
    for (std::size_t at = 0; at < secret.size(); ++at)
    {
        const bool quote = secret[at] == '\'';
        if (quote && at > 0 && secret[at - 1] != '\'')
            out += "'\"";
        out += secret[at];
        if (quote && at + 1 < secret.size() && secret[at + 1] != '\'')
            out += "\"'";
    }
    return out;
}

std::string hex(std::string_view secret, std::string_view between, std::string_view alphabet)
{
    std::string out;
    for (const char c : secret)
    {
        if (!out.empty())
            out += between;
        appendHex(out, static_cast<std::uint8_t>(c), 2, alphabet);
    }
    return out;
}

std::string xmlEscaped(std::string_view secret, std::string_view quote, std::string_view apostrophe)
{
    std::string out = replaced(secret, '&', "&amp;");
    out = replaced(out, '<', "&lt;");
    out = replaced(out, '>', "&gt;");
    out = replaced(out, '"', quote);
    return replaced(out, '\'', apostrophe);
}

void appendLines(std::vector<std::string>& forms, std::string_view secret)
{
    for (std::size_t begin = 0; begin < secret.size();)
    {
        const std::size_t end = std::min(secret.find('\n', begin), secret.size());
        std::string_view line = secret.substr(begin, end - begin);
        // Without the \r the form is found in text with and without one.
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        forms.emplace_back(line);
        begin = end + 1;
    }
}

/// What shells, languages and libraries make of it.
void appendQuoted(std::vector<std::string>& forms, std::string_view secret)
{
    // POSIX sh and bash, jq @sh; shlex; dash.
    forms.push_back(replaced(secret, '\'', "'\\''"));
    forms.push_back(replaced(secret, '\'', "'\"'\"'"));
    forms.push_back(dashQuoted(secret));
    // bash's declare -p and export -p.
    forms.push_back(backslashed(secret, "\\\"$`", Controls::Kept));
    // bash's printf %q and ${…@Q}; zsh quotes more.
    forms.push_back(backslashed(secret, " \t!\"$&'()*,;<>?[\\]^`{|}", Controls::Kept));
    forms.push_back(backslashed(secret, " \t!\"#$&'()*,;<=>?[\\]^`{|}~", Controls::Kept));
    // bash's $'…', C; repr with both kinds of quotes, Perl, PHP; addslashes, MySQL.
    forms.push_back(backslashed(secret, "\\'", Controls::Octal));
    forms.push_back(backslashed(secret, "\\'", Controls::Named));
    forms.push_back(backslashed(secret, "\\'", Controls::Kept));
    forms.push_back(backslashed(secret, "\\'\"", Controls::Kept));
    forms.push_back(backslashed(secret, "\\'\"", Controls::Named));
    // The same of bytes that are no text, or where only ASCII is.
    forms.push_back(backslashed(secret, "\\'", Controls::Octal, 0x80));
    forms.push_back(backslashed(secret, "\\'", Controls::Named, 0x80));
    forms.push_back(backslashed(secret, "\\", Controls::Named, 0x80));
    // repr with one kind of quotes; Go, Rust, Ruby, git.
    forms.push_back(backslashed(secret, "\\", Controls::Named));
    forms.push_back(backslashed(secret, "\\\"", Controls::Named));
    forms.push_back(backslashed(secret, "\\\"#", Controls::Named));
    // Python's re.escape; Perl's quotemeta, which knows letters, digits and _; PCRE's and JavaScript's usual one.
    forms.push_back(backslashed(secret, "()[]{}?*+-|^$\\.&~# \t\n\r\v\f", Controls::Kept));
    forms.push_back(
        backslashed(secret, " !\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~\t\n\r", Controls::Kept));
    forms.push_back(backslashed(secret, "()[]{}?*+|^$\\.", Controls::Kept));
    // CSV, SQL and YAML; Compose and make.
    forms.push_back(replaced(secret, '"', "\"\""));
    forms.push_back(replaced(secret, '\'', "''"));
    forms.push_back(replaced(secret, '$', "$$"));
}

} // namespace

bool mayBeAWord(std::string_view secret)
{
    constexpr std::size_t longEnough = 8;
    const auto all = [secret](char first, char last)
    {
        return std::all_of(secret.begin(), secret.end(),
                           [&](char c) { return c >= first && c <= last; });
    };
    return secret.size() < longEnough && (all('a', 'z') || all('A', 'Z') || all('0', '9'));
}

std::vector<std::string> secretEncodings(std::string_view secret)
{
    std::vector<std::string> forms = {std::string(secret), hex(secret, "", lowerDigits),
                                      hex(secret, "", upperDigits),
                                      hex(secret, " ", lowerDigits),  // od -tx1, xxd -g1
                                      hex(secret, ":", lowerDigits)}; // openssl
    appendQuoted(forms, secret);
    for (const std::size_t before : {0U, 1U, 2U})
    {
        forms.push_back(base64Inside(secret, before, "+/"));
        forms.push_back(base64Inside(secret, before, "-_"));
    }

    // RFC 3986, JavaScript's encodeURIComponent and encodeURI, Python's quote, HTML forms.
    for (const std::string_view kept :
         {"-._~", "-._~!'()*", "-._~!'()*;,/?:@&=+$#", "-._~/", "-._*"})
        for (const std::string_view alphabet : {lowerDigits, upperDigits})
            for (const bool plus : {false, true})
                forms.push_back(urlEncoded(secret, kept, plus, alphabet));
    const std::string inUrl = urlEncoded(secret, "-._~", false, upperDigits);
    forms.push_back(urlEncoded(inUrl, "-._~", false, upperDigits));

    // Most encoders, PHP's, Go's, Python's.
    forms.push_back(jsonEscaped(secret, "", false, false));
    forms.push_back(jsonEscaped(secret, "", true, false));
    forms.push_back(jsonEscaped(secret, "<>&", false, false));
    forms.push_back(jsonEscaped(secret, "", false, true));
    for (const bool ascii : {false, true})
        forms.push_back(jsonEscaped(jsonEscaped(secret, "", false, ascii), "", false, ascii));

    forms.push_back(xmlEscaped(secret, "\"", "'"));
    forms.push_back(xmlEscaped(secret, "&quot;", "'"));
    forms.push_back(xmlEscaped(secret, "&quot;", "&apos;"));
    forms.push_back(xmlEscaped(secret, "&quot;", "&#39;"));
    // Python's html.escape; PHP's htmlspecialchars; Go's html.EscapeString.
    forms.push_back(xmlEscaped(secret, "&quot;", "&#x27;"));
    forms.push_back(xmlEscaped(secret, "&quot;", "&#039;"));
    forms.push_back(xmlEscaped(secret, "&#34;", "&#39;"));
    appendLines(forms, secret);

    std::erase_if(forms, [](const std::string& form) { return form.size() < shortestSecret; });
    std::sort(forms.begin(), forms.end());
    forms.erase(std::unique(forms.begin(), forms.end()), forms.end());
    return forms;
}

} // namespace agent
