#include "agent/run/TokenCredentials.h"

#include "agent/os/RegularFile.h"
#include "agent/run/TokenCatalog.h"
#include "agent/run/TokenSecret.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <sys/stat.h>

namespace agent
{

namespace
{

constexpr std::string_view prefix = "tokens_";
constexpr std::size_t shortest = 32; ///< less than that can be guessed
constexpr std::size_t longest = 256;

/// The word in the file. Errors: std::runtime_error.
std::string secretIn(const std::filesystem::path& file)
{
    const auto opened = RegularFile::open(file);
    struct stat info = {};
    // A group, as systemd's files have in their mask.
    if (opened && ::fstat(opened->descriptor(), &info) == 0 && (info.st_mode & S_IRWXO) != 0)
        throw std::runtime_error("its mode lets every user read or write it: chmod 0600 " +
                                 file.string());
    std::string text = opened ? opened->text(4096) : std::string();
    text.erase(text.find_last_not_of(" \t\r\n") + 1);
    const bool word =
        std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
    if (!word || text.size() < shortest || text.size() > longest)
        throw std::runtime_error("a token is one word of 32 to 256 characters");
    return text;
}

/// `run.forge` is of the token `forge` with the role `run`. Errors: std::runtime_error.
Token tokenOf(const std::filesystem::path& file, const std::string& roleAndName)
{
    const std::size_t dot = std::min(roleAndName.find('.'), roleAndName.size());
    const auto role = roleFrom(roleAndName.substr(0, dot));
    Token token;
    token.name = roleAndName.substr(std::min(dot + 1, roleAndName.size()));
    if (!role)
        throw std::runtime_error("its name must be ROLE.NAME, with the role read, run, operate or "
                                 "admin");
    if (const auto problem = problemOfTokenName(token.name); !problem.empty())
        throw std::runtime_error(problem);
    token.role = *role;
    token.digest = digestOf(secretIn(file));
    token.createdAt = nowMs();
    return token;
}

} // namespace

std::vector<Token> tokenCredentials(const std::filesystem::path& folder,
                                    std::vector<std::string>& problems)
{
    std::vector<Token> tokens;
    std::error_code none;
    const std::filesystem::directory_iterator end;
    for (std::filesystem::directory_iterator file(folder, none); !none && file != end;
         file.increment(none))
    {
        const auto& entry = *file;
        const std::string name = entry.path().filename();
        if (!name.starts_with(prefix))
            continue;
        try
        {
            if (tokens.size() >= TokenCatalog::most)
                throw std::runtime_error("there are too many");
            tokens.push_back(tokenOf(entry.path(), name.substr(prefix.size())));
        }
        catch (const std::exception& error) // of the file system too
        {
            problems.push_back("the credential " + name + " is no token: " + error.what());
        }
    }
    std::sort(tokens.begin(), tokens.end(),
              [](const Token& one, const Token& other) { return one.name < other.name; });
    return tokens;
}

} // namespace agent
