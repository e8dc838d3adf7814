#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace agent::git
{

/// Removes the contents of `folder`: files of an earlier attempt, above all .git, whose hooks and configuration
/// could run programs. Does not follow symbolic links.
/// Errors: Failure that names the file that can't be removed.
void emptyFolder(const std::filesystem::path& folder);

/// Returns `text` without trailing white space, cut to `maxBytes` at a character boundary, with U+FFFD for each
/// invalid byte.
std::string asUtf8(std::string_view text, std::size_t maxBytes);

} // namespace agent::git
