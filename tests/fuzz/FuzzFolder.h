#pragma once

#include "tests/fuzz/Fuzzed.h"

#include <filesystem>
#include <fstream>

#include <unistd.h>

namespace fuzzed
{

/// A folder in memory, for a disk would be the bottleneck. Removed with the object.
class Folder
{
public:
    Folder()
    {
        char name[] = "/dev/shm/stage-agent-fuzz-XXXXXX";
        require(::mkdtemp(name) != nullptr);
        _path = name;
    }
    ~Folder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(_path, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    /// Returns the file's path.
    [[nodiscard]] std::filesystem::path write(const char* name, std::string_view bytes) const
    {
        std::ofstream(_path / name, std::ios::binary | std::ios::trunc) << bytes;
        return _path / name;
    }

    [[nodiscard]] const std::filesystem::path& path() const { return _path; }

private:
    std::filesystem::path _path;
};

} // namespace fuzzed
