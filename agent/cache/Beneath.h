#pragma once

#include "agent/os/FileDescriptor.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

// Names below a folder that is held open, in a tree that anybody may have made, or is changing now: no symlink is
// followed, no other file system entered, nothing above reached.
namespace agent::cache
{

/// `a/b` as its parts. Errors: std::runtime_error for an empty part, `.`, `..`, a NUL, too many or too long ones.
std::vector<std::string> partsOf(std::string_view path);

// How folders are made; without the bits of the umask.
constexpr mode_t privateFolder = 0700;
constexpr mode_t sharedFolder = 0777;

/// Opens the folder of `parts` below `root`, which may be none; `make`: those that are not there are made so.
/// Errors: an invalid descriptor; errno says why.
FileDescriptor folderBeneath(int root, const std::vector<std::string>& parts,
                             std::optional<mode_t> make = std::nullopt);

/// Opens a folder by its path, from outside; its last part is no symlink. Errors: as above.
FileDescriptor openFolder(const std::string& path);

/// Removes `name` in `folder`, with all that is in it. Returns whether it is gone.
bool removeTree(int folder, const std::string& name);

/// The system's words for errno.
std::string systemError();

} // namespace agent::cache
