#pragma once

#include <filesystem>
#include <string>

namespace agent
{

/// Returns the content of a file of secrets.dir without the line break at its end.
/// Errors: std::runtime_error that says what is wrong, never what stands in it: it is not there, no regular file,
/// longer than 64 KiB, empty, open to other users, or holds a NUL.
std::string readSecretFile(const std::filesystem::path& file);

} // namespace agent
