#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace agent::cache
{

/// Unpacks an archive that anybody may have made. Nothing is written outside the folders that `into` returns.
/// `into`: the folder for what the archive's path of this number holds, which becomes NUMBER in there; nothing: it is not wanted.
/// `progress`: called again and again with the bytes of content until then.
/// Errors: std::runtime_error; what was unpacked until then stays, for the caller to remove.
void unpack(int file, const std::function<std::optional<int>(std::size_t path)>& into,
            const std::function<void(std::int64_t bytes)>& progress);

} // namespace agent::cache
