#pragma once

#include "agent/os/FileDescriptor.h"

#include <filesystem>

namespace agent
{

/// Opens the folder `path` below the open folder `root` as a place (O_PATH), without a right to read it, whatever a stage
/// puts in the way: by no symlink, into no other file system and nowhere above.
/// Errors: an invalid descriptor; errno says why (ENOENT, ELOOP, EXDEV, …).
/// Source: openat2(2); where the kernel has none, the same step by step, but for bind mounts.
FileDescriptor placeBeneath(int root, const std::filesystem::path& path);

} // namespace agent
