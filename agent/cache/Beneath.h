#pragma once

#include "agent/os/FileDescriptor.h"

#include <string>
#include <string_view>
#include <vector>

// Names below a folder that is held open, in a tree that anybody may have made, or is changing now: no symlink is
// followed, no other file system entered, nothing above reached.
namespace agent::cache
{

/// `a/b` as its parts. Errors: std::runtime_error for an empty part, `.`, `..`, a NUL, too many or too long ones.
std::vector<std::string> partsOf(std::string_view path);

/// Opens the folder of `parts` below `root`, which may be none; `make`: those that are not there are made, 0700.
/// Errors: an invalid descriptor; errno says why.
FileDescriptor folderBeneath(int root, const std::vector<std::string>& parts, bool make = false);

/// Opens a folder by its path, from outside; its last part is no symlink. Errors: as above.
FileDescriptor openFolder(const std::string& path);

/// Removes `name` in `folder`, with all that is in it. Returns whether it is gone.
bool removeTree(int folder, const std::string& name);

/// The system's words for errno.
std::string systemError();

} // namespace agent::cache
