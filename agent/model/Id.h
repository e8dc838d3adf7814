#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace agent
{

/// Returns a new UUID of version 4, in lower case, from getrandom(2).
/// Errors: std::system_error if that fails.
/// Threads: any.
std::string newId();

/// Returns one that begins with the first four digits of `id`: rows that are stored by their ids stand side by
/// side then, and what is read or written together lies on few pages of the record.
std::string newIdBeside(std::string_view id);

/// Returns a UUID of any version and case in lower case; nullopt if `text` is not a UUID.
std::optional<std::string> parseId(std::string_view text);

/// Returns whether `text` is a UUID of version 4 in lower case, as made by newId().
bool isVersion4(std::string_view text);

} // namespace agent
