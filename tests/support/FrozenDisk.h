#pragma once

#include "tests/support/FilesFolder.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

#include <sys/mount.h>

namespace agent
{

/// A file system of its own whose writes the kernel can hold up, as a disk does that answers slowly. Who writes
/// meanwhile sleeps in state D. Goes on with thaw(), and however this process ends.
class FrozenDisk
{
public:
    FrozenDisk()
        : _mounted(run("truncate -s 64M '" + image() + "' && mkfs.ext4 -qF '" + image() +
                       "' && mkdir '" + path().string() + "' && mount -o loop '" + image() + "' '" +
                       path().string() + "'"))
    {
        if (!_mounted)
            std::cout << " (skipped: no image can be mounted) " << std::flush;
    }
    ~FrozenDisk()
    {
        thaw();
        if (_mounted)
            ::umount2(path().c_str(), MNT_DETACH);
    }
    FrozenDisk(const FrozenDisk&) = delete;
    FrozenDisk& operator=(const FrozenDisk&) = delete;

    [[nodiscard]] bool mounted() const { return _mounted; }
    [[nodiscard]] std::filesystem::path path() const { return _folder.path() / "disk"; }

    /// Returns whether writes are held up from now on.
    bool freeze()
    {
        // It waits for the end of its input, which also comes with the end of this process.
        _thaws = ::popen(("cat >/dev/null; fsfreeze -u '" + path().string() + "'").c_str(), "we");
        return _thaws != nullptr && run("fsfreeze -f '" + path().string() + "'");
    }

    void thaw()
    {
        if (_thaws != nullptr)
            ::pclose(_thaws);
        _thaws = nullptr;
    }

private:
    [[nodiscard]] std::string image() const { return (_folder.path() / "image").string(); }

    static bool run(const std::string& command)
    {
        return std::system(
                   ("PATH=$PATH:/usr/sbin:/sbin; { " + command + "; } >/dev/null 2>&1").c_str()) ==
               0;
    }

    FilesFolder _folder;
    bool _mounted;
    FILE* _thaws = nullptr;
};

} // namespace agent
