#pragma once

#include <string>

namespace agent::cache
{

/// Returns the key with its placeholders filled in; `workspace`: its folder, open.
/// Errors: std::runtime_error: a file is missing, or the key is too long then.
std::string filledIn(const std::string& key, int workspace);

} // namespace agent::cache
