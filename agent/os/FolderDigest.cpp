#include "agent/os/FolderDigest.h"

#include "agent/os/RegularFile.h"
#include "agent/os/Sha256.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <fcntl.h>

namespace agent
{

namespace
{

namespace fs = std::filesystem;

constexpr std::size_t mostFiles = 10'000;
constexpr std::uint64_t mostBytes = 1ULL << 30;
constexpr std::size_t chunkBytes = 64UL * 1024;

/// The names of all that is no folder, relative to `folder`, in the order of their bytes.
std::vector<std::string> namesIn(const std::string& folder)
{
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
    {
        if (fs::is_directory(entry.symlink_status()))
            continue;
        names.push_back(entry.path().string().substr(folder.size() + 1));
        if (names.size() > mostFiles)
            throw std::runtime_error("there are more than " + std::to_string(mostFiles) +
                                     " files in it");
    }
    std::sort(names.begin(), names.end());
    return names;
}

class FolderReader
{
public:
    explicit FolderReader(const std::string& folder)
        : _path(folder), _folder(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))
    {
        if (!_folder.valid())
            throw std::system_error(errno, std::generic_category(), folder);
    }

    [[nodiscard]] std::string lineOf(const std::string& name)
    {
        std::string line;
        if (fs::is_symlink(fs::symlink_status(fs::path(_path) / name)))
            line = "link " + fs::read_symlink(fs::path(_path) / name).string();
        else
            line = toHex(digestOf(name));
        return line + "  ./" + name + "\n";
    }

private:
    Sha256::Digest digestOf(const std::string& name)
    {
        const auto file = RegularFile::openAt(_folder.get(), name);
        if (!file)
            throw std::runtime_error(name + " has just been removed");
        Sha256 sum;
        std::size_t got = chunkBytes;
        for (std::uint64_t offset = 0; got == chunkBytes; offset += got)
        {
            got = file->read(offset, _chunk.get(), chunkBytes);
            sum.update({_chunk.get(), got});
            _bytes += got;
            if (_bytes > mostBytes)
                throw std::runtime_error("there is more than 1 GiB in it");
        }
        return sum.digest();
    }

    std::string _path;
    FileDescriptor _folder;
    std::uint64_t _bytes = 0;
    std::unique_ptr<char[]> _chunk = std::make_unique_for_overwrite<char[]>(chunkBytes);
};

} // namespace

std::string digestOfFolder(const std::string& folder)
try
{
    FolderReader reader(folder);
    Sha256 sum;
    for (const std::string& name : namesIn(folder))
        sum.update(reader.lineOf(name));
    return toHex(sum.digest());
}
catch (const std::exception& error)
{
    throw std::runtime_error("the files of " + folder + " can't be read: " + error.what());
}

} // namespace agent
