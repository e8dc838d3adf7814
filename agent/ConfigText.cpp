#include "agent/ConfigText.h"

#include "agent/model/Timestamp.h"

#include <Poco/Exception.h>
#include <Poco/StringTokenizer.h>
#include <Poco/URI.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace agent
{

std::optional<std::int64_t> wholeFrom(const std::string& text, std::int64_t least,
                                      std::int64_t most)
{
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
        return std::nullopt;
    return value;
}

std::optional<std::int64_t> keptFrom(const std::string& text)
{
    const auto ms = parseDurationMs(text);
    const bool bare = text.find_first_not_of("0123456789") == std::string::npos;
    return bare && ms != 0 ? std::nullopt : ms;
}

bool canBeHost(const std::string& text)
{
    const bool bracketed = text.starts_with('[');
    const std::size_t colon = bracketed ? text.find(':', text.find(']')) : text.find(':');
    const std::string name = text.substr(0, colon);
    if (colon != std::string::npos && !wholeFrom(text.substr(colon + 1), 1, 65535))
        return false;
    if (bracketed)
        return name.size() > 2 && name.ends_with(']') &&
               name.find_first_not_of("0123456789abcdefABCDEF:.", 1) == name.size() - 1;
    const auto fits = [](unsigned char c)
    { return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_'; };
    return !name.empty() && std::all_of(name.begin(), name.end(), fits);
}

bool isHttpUrl(const std::string& text)
try
{
    const Poco::URI uri(text);
    return (uri.getScheme() == "http" || uri.getScheme() == "https") && !uri.getHost().empty() &&
           uri.getUserInfo().empty() && uri.getRawQuery().empty() && uri.getFragment().empty();
}
catch (const Poco::Exception&)
{
    return false;
}

std::optional<bool> booleanFrom(const std::string& text)
{
    return text == "true" || text == "false" ? std::optional(text == "true") : std::nullopt;
}

std::vector<std::string> listFrom(const std::string& text)
{
    const Poco::StringTokenizer items(
        text, ",", Poco::StringTokenizer::TOK_TRIM | Poco::StringTokenizer::TOK_IGNORE_EMPTY);
    return {items.begin(), items.end()};
}

} // namespace agent
