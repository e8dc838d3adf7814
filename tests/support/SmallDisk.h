#pragma once

#include "tests/support/FilesFolder.h"

#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

namespace agent
{

/// A file system of its own that a test can fill; unmounted with the object.
class SmallDisk
{
public:
    explicit SmallDisk(const std::string& size)
        : _mounted(
              ::mount("tmpfs", path().c_str(), "tmpfs", 0, ("mode=700,size=" + size).c_str()) == 0)
    {
        if (!_mounted)
            std::cout << " (skipped: only root may mount a tmpfs) " << std::flush;
    }
    ~SmallDisk()
    {
        if (_mounted)
            ::umount2(path().c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    /// Without root there is no such disk, and nothing to test; says so.
    [[nodiscard]] bool mounted() const { return _mounted; }
    [[nodiscard]] std::filesystem::path path() const { return _folder.path(); }

    /// Leaves `free` bytes, or a little less.
    void fill(std::uintmax_t free = 0) const
    {
        const int fd = ::open((path() / "filler").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        const std::string block(4096, 'x');
        while (std::filesystem::space(path()).available > free &&
               ::write(fd, block.data(), block.size()) > 0)
        {
        }
        ::close(fd);
    }

    void free() const { std::filesystem::remove(path() / "filler"); }

private:
    FilesFolder _folder;
    bool _mounted;
};

} // namespace agent
