#include "agent/os/SecretFile.h"

#include "agent/os/RegularFile.h"

#include <stdexcept>

#include <sys/stat.h>

namespace agent
{

std::string readSecretFile(const std::filesystem::path& file)
{
    constexpr std::size_t most = 65'536;
    std::error_code unresolved; // secrets.dir itself may be a link
    const auto folder = std::filesystem::canonical(file.parent_path(), unresolved);
    const auto opened =
        unresolved ? std::nullopt : RegularFile::open((folder / file.filename()).string());
    if (!opened)
        throw std::runtime_error("there is no file " + file.string());
    struct stat info = {};
    if (::fstat(opened->descriptor(), &info) != 0 || (info.st_mode & 0077) != 0)
        throw std::runtime_error(
            file.string() + " can be read by other users: chmod 600 it, and change the secret");
    std::string text = opened->text(most);
    if (text.ends_with('\n'))
        text.pop_back();
    if (text.empty())
        throw std::runtime_error(file.string() + " is empty");
    if (text.find('\0') != std::string::npos)
        throw std::runtime_error(file.string() + " holds a NUL");
    return text;
}

} // namespace agent
