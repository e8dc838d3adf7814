#pragma once

#include <string>

namespace agent
{

/// Returns one digest of all files in a folder and below it, 64 hexadecimal digits: what this prints there,
///     find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum
/// where no file is a symlink. Of a symlink its target counts, as a line `link TARGET  ./NAME` among the others; what it
/// leads to does not.
/// Errors: std::runtime_error that names what can't be read, or says that there is more than a plugin has: 10,000
/// files, 1 GiB.
/// Blocks: for reading all of it. Threads: any.
std::string digestOfFolder(const std::string& folder);

} // namespace agent
