#include "agent/model/CacheSpec.h"

#include <algorithm>

namespace agent
{

namespace
{

constexpr std::string_view opens = "${";
constexpr std::string_view digest = "sha256:";

bool isLetterOrDigit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool isOfKey(char c)
{
    return isLetterOrDigit(c) || std::string_view("._+=@-").find(c) != std::string_view::npos;
}

/// Returns what is wrong with a relative path; empty: nothing.
std::string relativeProblem(std::string_view path)
{
    if (path.empty())
        return "must not be empty";
    if (path.starts_with('/'))
        return "must be relative to the workspace, or begin with ~/";
    for (std::size_t start = 0; start <= path.size();)
    {
        const std::size_t end = std::min(path.find('/', start), path.size());
        const std::string_view part = path.substr(start, end - start);
        if (part.empty() || part == "." || part == "..")
            return "must not have an empty part, '.' or '..'";
        start = end + 1;
    }
    for (const char c : path)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            return "must not have a control character";
    return "";
}

/// Cuts `text` into pieces. Returns what is wrong; empty: nothing.
std::string cut(std::string_view text, std::vector<CacheKeyPart>& parts)
{
    while (!text.empty())
    {
        const std::size_t begin = std::min(text.find(opens), text.size());
        if (begin > 0)
            parts.push_back({CacheKeyPart::Kind::Text, std::string(text.substr(0, begin))});
        text.remove_prefix(begin);
        if (text.empty())
            break;
        const std::size_t end = text.find('}');
        if (end == std::string_view::npos)
            return "has a '${' without '}'";
        const std::string_view inner = text.substr(opens.size(), end - opens.size());
        text.remove_prefix(end + 1);
        if (inner == "arch")
            parts.push_back({CacheKeyPart::Kind::Machine, ""});
        else if (inner.starts_with(digest))
            parts.push_back(
                {CacheKeyPart::Kind::FileDigest, std::string(inner.substr(digest.size()))});
        else
            return "has '${" + std::string(inner) + "}'; known are ${sha256:FILE} and ${arch}";
    }
    return "";
}

} // namespace

std::vector<CacheKeyPart> cacheKeyParts(std::string_view text)
{
    std::vector<CacheKeyPart> parts;
    cut(text, parts);
    return parts;
}

std::string cacheKeyProblem(std::string_view text)
{
    if (text.empty())
        return "must not be empty";
    if (text.size() > cacheBounds::keyText)
        return "must not be longer than " + std::to_string(cacheBounds::keyText) + " bytes";
    std::vector<CacheKeyPart> parts;
    if (std::string wrong = cut(text, parts); !wrong.empty())
        return wrong;
    for (const CacheKeyPart& part : parts)
    {
        if (part.kind == CacheKeyPart::Kind::Text &&
            !std::all_of(part.text.begin(), part.text.end(), isOfKey))
            return "may have letters, digits and . _ + = @ - besides ${sha256:FILE} and ${arch}";
        if (part.kind != CacheKeyPart::Kind::FileDigest)
            continue;
        if (part.text.starts_with('~'))
            return "has a file that is not of the workspace";
        if (const std::string wrong = relativeProblem(part.text); !wrong.empty())
            return "has a file whose path " + wrong;
    }
    if (parts.front().kind == CacheKeyPart::Kind::Text && !isLetterOrDigit(text.front()))
        return "must begin with a letter or a digit";
    return "";
}

std::string cachePathProblem(std::string_view text)
{
    const bool home = text.starts_with("~/");
    const std::string_view path = home ? text.substr(2) : text;
    if (!home && text.starts_with('~'))
        return "may begin with ~/ for HOME of the run; of no other user";
    if (std::string wrong = relativeProblem(path); !wrong.empty())
        return wrong;
    if (!home && (path == ".git" || path.starts_with(".git/")))
        return "must not be in .git: the checkout makes that";
    if (path.starts_with(".stage-agent"))
        return "must not begin with .stage-agent: that is the agent's";
    return "";
}

bool isCacheKey(std::string_view key)
{
    return !key.empty() && key.size() <= cacheBounds::key && isLetterOrDigit(key.front()) &&
           std::all_of(key.begin(), key.end(), isOfKey);
}

} // namespace agent
