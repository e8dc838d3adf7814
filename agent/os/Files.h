#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace agent
{

/// Reads a file of the kernel's (/proc, a cgroup) or of the operator's to its end. Not for a file that a
/// stage could have touched: see RegularFile.
/// Errors: nothing when it can't be read; errno says why.
std::optional<std::string> readFile(const std::string& file);

/// Reads `fd` to its end. Errors: as readFile().
std::optional<std::string> readAll(int fd);

/// Writes all of `bytes`. `written`, where given, gets how many were, also on an error.
/// Errors: false; errno says why.
bool writeAll(int fd, std::string_view bytes, std::size_t* written = nullptr);

/// The same with one text after the other, in as few system calls as the kernel takes.
bool writeAll(int fd, std::span<const std::string_view> texts, std::size_t* written = nullptr);

} // namespace agent
