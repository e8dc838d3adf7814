#include "agent/run/InputRules.h"

#include "agent/document/Document.h"
#include "agent/model/Characters.h"
#include "agent/model/Id.h"
#include "agent/model/Utf8.h"

#include <algorithm>
#include <array>

namespace agent
{

namespace
{

constexpr std::size_t maxRepository = 2048; // as long as the URLs that common servers take
constexpr std::size_t maxBranch = 244;      // a file name of Git's, with room for `.lock`
constexpr std::size_t maxFilePattern = 1024;
constexpr std::size_t maxVariable = 256; // a key of a document may be so long

bool isLetter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool isDigit(char c)
{
    return c >= '0' && c <= '9';
}

bool hasControlOrBlank(std::string_view text)
{
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
}

bool isRefused(Character character)
{
    return character.kind != Character::Kind::Valid ||
           (isControl(character.value) && character.value != '\n' && character.value != '\t');
}

bool contains(std::string_view text, std::string_view part)
{
    return text.find(part) != std::string_view::npos;
}

/// `user@host:port`: neither part may look like an option to ssh.
std::string authorityProblem(std::string_view authority)
{
    const std::size_t at = authority.rfind('@');
    const std::string_view user =
        at == std::string_view::npos ? std::string_view{} : authority.substr(0, at);
    const std::string_view host =
        at == std::string_view::npos ? authority : authority.substr(at + 1);
    if (host.empty() || host.starts_with(':'))
        return "names no host";
    if (user.starts_with('-') || host.starts_with('-'))
        return "must not have a user or host that begins with '-'";
    return "";
}

std::string urlProblem(std::string_view text, std::size_t schemeEnd)
{
    constexpr std::array<std::string_view, 5> schemes{"https", "http", "ssh", "git", "file"};
    const std::string_view scheme = text.substr(0, schemeEnd);
    if (std::find(schemes.begin(), schemes.end(), scheme) == schemes.end())
        return "must have one of the schemes https, http, ssh, git and file";
    const std::string_view rest = text.substr(schemeEnd + 3);
    const std::string_view authority = rest.substr(0, rest.find('/'));
    if (scheme == "file")
        return authority.empty() || authority == "localhost" ? "" : "must be file:///path";
    return authorityProblem(authority);
}

std::string scpProblem(std::string_view text)
{
    const std::size_t colon = text.find(':');
    const std::size_t at = text.find('@');
    if (colon == std::string_view::npos || at == std::string_view::npos || at == 0 || at > colon ||
        contains(text.substr(0, colon), "/"))
        return "must be a URL (https, http, ssh, git, file), user@host:path or an absolute path";
    if (colon + 1 == text.size() || text[colon + 1] == '-')
        return "must have a path that does not begin with '-' after the ':'";
    return authorityProblem(text.substr(0, colon));
}

std::string componentProblem(std::string_view component)
{
    if (component.empty())
        return "must not begin or end with '/', nor hold '//'";
    if (component.starts_with('.'))
        return "must not have a part that begins with '.'";
    if (component.ends_with(".lock"))
        return "must not have a part that ends in '.lock'";
    return "";
}

} // namespace

std::string textProblem(std::string_view text, std::size_t maxBytes)
{
    if (text.size() > maxBytes)
        return "must not be longer than " + std::to_string(maxBytes) + " bytes, and has " +
               std::to_string(text.size());
    for (std::size_t pos = 0; pos < text.size();)
    {
        const Character character = characterAt(text, pos);
        if (character.kind != Character::Kind::Valid)
            return "must be UTF-8";
        if (isRefused(character))
            return "must not hold control characters other than newline and tab: " +
                   visible(text.substr(pos, character.size)) + " at byte " + std::to_string(pos);
        pos += character.size;
    }
    return "";
}

std::string fittedText(std::string_view text, std::size_t maxBytes)
{
    std::string fitted;
    for (std::size_t pos = 0; pos < text.size() && fitted.size() <= maxBytes;)
    {
        const Character character = characterAt(text, pos);
        if (isRefused(character))
            appendVisible(fitted, text, pos, character);
        else
            fitted += text.substr(pos, character.size);
        pos += character.size;
    }
    return shortened(fitted, maxBytes);
}

std::string repositoryProblem(std::string_view text)
{
    if (text.empty())
        return "must not be empty";
    if (text.size() > maxRepository)
        return "must not be longer than " + std::to_string(maxRepository) + " bytes";
    if (text.starts_with('-'))
        return "must not begin with '-'";
    if (hasControlOrBlank(text))
        return "must not hold blanks or control characters";
    if (contains(text, "::"))
        return "must not hold '::' (remote helpers run commands)";
    if (text.starts_with('/'))
        return "";
    if (const std::size_t schemeEnd = text.find("://"); schemeEnd != std::string_view::npos)
        return urlProblem(text, schemeEnd);
    return scpProblem(text);
}

std::string branchProblem(std::string_view text)
{
    if (text.empty())
        return "must not be empty";
    if (text.size() > maxBranch)
        return "must not be longer than " + std::to_string(maxBranch) + " bytes";
    if (text.starts_with('-'))
        return "must not begin with '-'";
    if (hasControlOrBlank(text))
        return "must not hold blanks or control characters";
    if (text == "@" || text == "HEAD")
        return "must be the name of a branch";
    if (text.find_first_of("~^:?*[\\") != std::string_view::npos)
        return "must not hold any of ~ ^ : ? * [ \\";
    if (contains(text, "..") || contains(text, "@{") || text.ends_with('.'))
        return "must not hold '..' or '@{', nor end in '.'";
    for (std::size_t start = 0; start <= text.size();)
    {
        const std::size_t end = std::min(text.find('/', start), text.size());
        if (auto problem = componentProblem(text.substr(start, end - start)); !problem.empty())
            return problem;
        start = end + 1;
    }
    return "";
}

std::string environmentProblem(std::string_view name)
{
    if (name.size() > maxVariable)
        return "must not be longer than " + std::to_string(maxVariable) + " bytes";
    const bool right = !name.empty() && !isDigit(name[0]) &&
                       std::all_of(name.begin(), name.end(),
                                   [](char c) { return isLetter(c) || isDigit(c) || c == '_'; });
    if (!right)
        return "must be letters, digits and '_', no digit first";
    constexpr std::array<std::string_view, 6> own{"RUN_ID",       "CI",          "WORKSPACE",
                                                  "SERVICE_NAME", "COMMIT_HASH", "BRANCH"};
    constexpr std::array<std::string_view, 3> ownPrefixes{"STAGE_", "PLUGIN_", "OUTPUT_"};
    if (std::find(own.begin(), own.end(), name) != own.end() ||
        std::any_of(ownPrefixes.begin(), ownPrefixes.end(),
                    [&](std::string_view prefix) { return name.starts_with(prefix); }))
        return "is set by the agent itself";
    return "";
}

std::string environmentValueProblem(std::string_view text)
{
    const bool wrong =
        std::any_of(text.begin(), text.end(),
                    [](char c)
                    {
                        const auto byte = static_cast<unsigned char>(c);
                        return (byte < ' ' && c != '\n' && c != '\t' && c != '\r') || byte == 0x7f;
                    });
    if (wrong)
        return "must be a string without control characters";
    return isUtf8(text) ? "" : "must be UTF-8";
}

std::string commitProblem(std::string_view text)
{
    if (hasControlOrBlank(text))
        return "holds blanks or control characters";
    if (text.size() > bounds::name || text.starts_with('-'))
        return "is no commit: '" + std::string(text) + "'";
    return "";
}

std::string serviceNameProblem(std::string_view text)
{
    if (std::string wrong = artifactNameProblem(text); !wrong.empty())
        return wrong;
    if (parseId(text))
        return "must not be a UUID, which would be taken for an id";
    return "";
}

std::string artifactNameProblem(std::string_view text)
{
    constexpr std::size_t most = 64;
    const auto isPlain = [](char c) { return isLetter(c) || isDigit(c); };
    if (text.empty() || text.size() > most || !isPlain(text[0]) ||
        !std::all_of(text.begin(), text.end(),
                     [&](char c) { return isPlain(c) || c == '.' || c == '_' || c == '-'; }))
        return "must be 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first";
    return "";
}

std::string labelKeyProblem(std::string_view text)
{
    const auto isPlain = [](char c) { return isLetter(c) || isDigit(c); };
    if (text.empty() || text.size() > bounds::labelKey || !isPlain(text[0]) ||
        !std::all_of(text.begin(), text.end(),
                     [&](char c)
                     { return isPlain(c) || c == '.' || c == '_' || c == '/' || c == '-'; }))
        return "must be 1 to 63 letters, digits, '.', '_', '/' and '-', a letter or digit first";
    return "";
}

std::string labelValueProblem(std::string_view text)
{
    if (text.find_first_of("\n\t") != std::string_view::npos)
        return "must be one line, without tabs";
    return textProblem(text, bounds::labelValue);
}

std::string linkProblem(std::string_view text, std::string_view placeholder)
{
    if (!text.starts_with("https://") && !text.starts_with("http://"))
        return "must begin with https:// or http://";
    if (text.size() > maxRepository || hasControlOrBlank(text))
        return "must be an address of at most " + std::to_string(maxRepository) +
               " bytes without blanks";
    if (!contains(text, placeholder))
    {
        std::string problem = "must have ";
        return problem.append(placeholder).append(" in it, which the page replaces");
    }
    return "";
}

std::string pipelineFileProblem(std::string_view text)
{
    if (text.size() > bounds::name)
        return "must not be longer than " + std::to_string(bounds::name) + " bytes";
    if (const std::string wrong = textProblem(text, bounds::name); !wrong.empty())
        return wrong;
    if (text.find_first_of("\n\t") != std::string_view::npos)
        return "must be one line";
    for (std::size_t start = 0; start <= text.size();)
    {
        const std::size_t end = std::min(text.find('/', start), text.size());
        const std::string_view part = text.substr(start, end - start);
        if (part.empty() || part == "." || part == "..")
            return "must be a path from the root of the repository, without empty parts, '.' and "
                   "'..'";
        start = end + 1;
    }
    return "";
}

std::string artifactProblem(std::string_view text)
{
    if (text.empty())
        return "must not be empty";
    if (text.size() > maxFilePattern)
        return "must not be longer than " + std::to_string(maxFilePattern) + " bytes";
    if (text.find('\0') != std::string_view::npos)
        return "must not hold a NUL";
    if (text.starts_with('/'))
        return "must be relative to the workspace";
    for (std::size_t start = 0; start <= text.size();)
    {
        const std::size_t end = std::min(text.find('/', start), text.size());
        if (text.substr(start, end - start) == "..")
            return "must not hold '..'";
        start = end + 1;
    }
    return "";
}

} // namespace agent
