#pragma once

#include "agent/os/FileDescriptor.h"

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

namespace agent
{

/// Opens the folder `path` below the folder `root` for reading, whatever a stage puts in the way: by no
/// symlink, into no other file system and nowhere above. Its owner's rights on it are given back first.
/// Errors: none is returned; errno says why (ENOENT, ELOOP, EXDEV, …).
/// Source: openat2(2); where the kernel has none, the same step by step, but for bind mounts.
FileDescriptor openBeneath(int root, const std::filesystem::path& path);

/// Returns what the files in the open folder take on disk, to a depth of 100 folders. Follows and enters nothing else.
/// Blocks: until done or `stop`.
std::int64_t bytesIn(int folder, const std::stop_token& stop);

/// What could not be removed.
struct Remains
{
    std::string name; ///< in the emptied folder
    std::string why;
};

/// Removes all that is in the open folder `trash`. Its content may be as deep as it likes, without
/// rights, and in motion: no symlink is followed and no mount is entered. It needs three descriptors,
/// for each folder found is first moved up into `trash`; so what a crash leaves is in there as well.
/// Blocks: until done or `stop`.
std::vector<Remains> emptyFolder(int trash, const std::stop_token& stop);

} // namespace agent
