#pragma once

#include <string>

namespace agent
{

/// Returns what proves, without reading them, that the files of a folder are still what they were: one digest of the name,
/// device, inode, mode, owner, size and times of all that is there, 64 hexadecimal digits. The time of the last change
/// (ctime) is the kernel's: who may write a file can set the other times back, and not this one.
/// Empty where it would prove nothing:
///   - a user other than root may change something in there: it has another owner, or its group or all others may write it; or
///     this process's user may change it for another reason, as root may everywhere. A page of a file that is mapped for
///     writing can be changed again and again while only the first time, or none, shows in ctime;
///   - something was changed so lately that a change after it might have the same ctime;
///   - there is something that can't be looked at, or more than a plugin has (10,000 names).
/// Blocks: for a stat of each name. Threads: any.
std::string identityOfFolder(const std::string& folder);

} // namespace agent
