#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace agent
{

/// Who may have been able to use a file.
enum class FileMode
{
    Any,
    Private ///< its owner alone
};

/// Reads a regular file whole; a symlink, a device or a pipe that a stage put there is refused.
/// Errors: std::runtime_error with the reason, also where there are more than `limit` bytes.
std::string readSmallFile(const std::filesystem::path& path, std::size_t limit,
                          FileMode mode = FileMode::Any);

} // namespace agent
