#pragma once

#include <filesystem>

namespace agent
{

/// Copies what is in the folder `from` into the folder `to`, which is there and empty: files and folders with their modes
/// and times, which tell build tools what is up to date, and symlinks as they are. Shares blocks where the file system
/// can. What a stage may have left besides, such as a FIFO or a socket, is left out; nothing is followed, and nothing
/// blocks.
/// Errors: std::system_error that names the file.
void copyWorkspace(const std::filesystem::path& from, const std::filesystem::path& to);

} // namespace agent
