#pragma once

#include "agent/os/FileDescriptor.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace agent
{

/// Finds git mirrors that no stage has used for long. A mirror is `KEY.git` with `KEY.lock` beside it, which is locked
/// while it is used, was modified when that began, and holds the repository's address; `KEY.N.aside` is one that could
/// not be used (plugins/git/MirrorFolder.h).
class UnusedMirrors
{
public:
    struct Removal
    {
        std::function<void(const std::filesystem::path&)> discard;
        std::function<void(const std::string&)> tell; ///< a line for the journal
    };

    /// `folders`: of mirrors, below the state folder. `keepMs`: 0 is for ever.
    UnusedMirrors(std::vector<std::filesystem::path> folders, std::int64_t keepMs, Removal removal);

    /// Removes what was not used for `keepMs`; one that a stage uses now stays. What stands in the folders is not
    /// followed, whoever put it there.
    /// Returns after what time the next may be due.
    [[nodiscard]] std::chrono::milliseconds remove() const;

private:
    /// Returns after how many ms the next one in `folder` may be due.
    [[nodiscard]] std::int64_t removeIn(const std::filesystem::path& folder) const;

    /// Returns how old what is named by `name` is, in ms; 0 if that can't be told.
    [[nodiscard]] static std::int64_t ageOf(int folder, const std::string& name, bool sinceRename);
    [[nodiscard]] bool removeMirror(const std::filesystem::path& path, int folder,
                                    const std::string& key) const;
    void removeAside(const std::filesystem::path& path, bool withItsMirror) const;

    std::vector<std::filesystem::path> _folders;
    std::int64_t _keepMs;
    Removal _removal;
};

} // namespace agent
