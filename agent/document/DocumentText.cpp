#include "agent/document/DocumentText.h"

#include "agent/model/Utf8.h"

#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace agent
{

namespace
{

/// Nothing when all of `text` is UTF-8 without control characters; else what is wrong, and where.
std::optional<std::pair<std::size_t, std::string>> badBytes(const std::string& text)
{
    for (std::size_t offset = 0; offset < text.size();)
    {
        const char c = text[offset];
        if ((c >= 0 && c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f)
            return std::pair{offset, std::string("holds a control character")};
        const std::size_t length = utf8LengthAt(text, offset);
        if (length == 0)
            return std::pair{offset, std::string("is not UTF-8")};
        offset += length;
    }
    return std::nullopt;
}

} // namespace

int lineAt(const std::string& text, std::size_t offset)
{
    int line = 1;
    for (std::size_t i = 0; i < offset && i < text.size(); ++i)
        if (text[i] == '\n')
            ++line;
    return line;
}

bool checkText(const std::string& text, const std::string& file, const DocumentLimits& limits,
               std::vector<Problem>& problems)
{
    Problem problem{.file = file, .line = 0, .key = {}, .message = {}};
    if (text.size() > limits.bytes)
        problem.message = "longer than " + std::to_string(limits.bytes) + " bytes";
    else if (const auto bad = badBytes(text))
    {
        problem.line = lineAt(text, bad->first);
        problem.message = bad->second;
    }
    if (problem.message.empty())
        return true;
    problems.push_back(std::move(problem));
    return false;
}

std::optional<std::string> readText(const std::filesystem::path& path, std::size_t maxBytes,
                                    std::vector<Problem>& problems)
{
    const auto refuse = [&](const std::string& message)
    {
        problems.push_back({.file = path.string(), .line = 0, .key = {}, .message = message});
        return std::nullopt;
    };

    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return refuse(std::string("cannot be opened: ") + std::generic_category().message(errno));
    struct stat status
    {
    };
    std::string text;
    ssize_t got = ::fstat(file, &status);
    if (got == 0 && !S_ISREG(status.st_mode))
    {
        ::close(file);
        return refuse("is no regular file");
    }
    char chunk[16 * 1024];
    while (got >= 0 && text.size() <= maxBytes && (got = ::read(file, chunk, sizeof chunk)) != 0)
    {
        if (got > 0)
            text.append(chunk, static_cast<std::size_t>(got));
        else if (errno == EINTR)
            got = 0;
    }
    const int error = errno;
    ::close(file);
    if (got < 0)
        return refuse(std::string("cannot be read: ") + std::generic_category().message(error));
    if (text.size() > maxBytes)
        return refuse("longer than " + std::to_string(maxBytes) + " bytes");
    return text;
}

} // namespace agent
