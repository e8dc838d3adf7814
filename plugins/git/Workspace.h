#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace agent::git
{

/// Removes all that is in `folder`, which stays: an earlier attempt's files, and above all its .git, whose
/// hooks and configuration could run programs. Never follows a symbolic link out of it.
/// Errors: Failure, naming the file that can't be removed.
void emptyFolder(const std::filesystem::path& folder);

/// `text` without white space at its end, cut to `maxBytes` between two characters, with U+FFFD for each
/// byte that is not UTF-8.
std::string asUtf8(std::string_view text, std::size_t maxBytes);

} // namespace agent::git
