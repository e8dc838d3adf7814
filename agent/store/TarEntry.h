#pragma once

#include "agent/model/Timestamp.h"

#include <cstdint>
#include <string>

namespace agent
{

constexpr std::size_t tarBlock = 512;

/// Returns what stands before the content of a regular file in a tar archive: its header, and before that, where it can't hold
/// all, an extended one. Owner and group are root's, by number. `mode`: of which the last nine bits are told.
/// Source: POSIX.1-2017, pax, "pax Interchange Format".
std::string tarHeader(const std::string& path, unsigned mode, std::int64_t size, TimeMs writtenAt);

/// Returns what follows the content, so that the next header begins a block.
std::string tarPadding(std::int64_t size);

/// Returns what ends an archive.
std::string tarEnd();

} // namespace agent
