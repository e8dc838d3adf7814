#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/run/SafeRemove.h"

#include <stop_token>
#include <string>
#include <vector>

namespace agent
{

/// Removes sets of artifacts, and the contents that no other set has: docs/artifacts.md, "Crash points". A crash in
/// between leaves nothing that the next call does not find.
class ArtifactTrash
{
public:
    /// `state`: the open state folder; it must outlive this.
    explicit ArtifactTrash(int state) : _state(state) {}

    /// Takes `folder`, a path below the state folder, out of sight: one set, or all of a run.
    /// Returns whether there is something to empty. Errors: false; errno says why (ENOENT: there is none).
    [[nodiscard]] bool take(const std::string& folder) const;

    /// Removes what was taken. Returns what could not be removed. Blocks: until done or `stop`.
    std::vector<Remains> empty(const std::stop_token& stop) const;

private:
    bool emptySet(int set, const std::stop_token& stop) const;
    void removeLinks(int set, int objects, const std::vector<std::string>& names,
                     const std::stop_token& stop) const;

    int _state;
};

} // namespace agent
