#pragma once

#include <optional>

namespace agent
{

/// Returns whether the wall clock is synchronised; nothing where nobody can tell. Asks adjtimex(2), and where a filter
/// of system calls refuses that, as the unit's does (ProtectClock=), those that may: the file that
/// systemd-timesyncd makes, else org.freedesktop.timedate1 on the system bus.
/// Threads: any; it may wait 2 s for the bus.
std::optional<bool> clockIsSynchronised();

} // namespace agent
