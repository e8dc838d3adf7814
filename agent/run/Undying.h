#pragma once

#include "agent/model/Stage.h"
#include "agent/process/ProcessTree.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// An attempt that was to end and can't: what is left of it does not go, whatever is sent to it.
struct Undying
{
    std::string stageId;
    int attempt = 0;
    std::string processes; ///< which, and what the kernel does with them: one line for a person
    TimeMs since = 0;
    std::optional<Cause> ending; ///< why its shim ends it, where that is known
};

/// The processes of the attempt in `folder` that live. Shape: none where the folder does not tell.
std::vector<ProcessInfo> livingIn(const std::filesystem::path& folder);

/// Whether there are some, each was killed and the kernel holds it.
bool heldByKernel(const std::vector<ProcessInfo>& processes);

/// `2 processes can't be ended: 4711 (cp) is in state D in nfs_wait, 4712 (sh) is in state D`
std::string undyingInWords(const std::vector<ProcessInfo>& processes);

} // namespace agent
