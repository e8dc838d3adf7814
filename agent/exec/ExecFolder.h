#pragma once

#include "agent/model/Stage.h"
#include "agent/os/FileDescriptor.h"
#include "agent/run/SafeRemove.h"

#include <filesystem>
#include <vector>

namespace agent
{

/// The temporary folder of an exec, `$TMPDIR/stage-exec-XXXXXX`, mode 0700, with the layout of a run's folder.
/// Removed by the destructor.
class ExecFolder
{
public:
    /// Errors: ExecRefusal Usage that names the folder and the reason.
    ExecFolder();
    ~ExecFolder();
    ExecFolder(const ExecFolder&) = delete;
    ExecFolder& operator=(const ExecFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return _path; }
    [[nodiscard]] std::filesystem::path workspace() const { return _path / "workspace"; }
    [[nodiscard]] std::filesystem::path mirrors() const { return _path / "mirrors"; }
    [[nodiscard]] std::filesystem::path attempt(const Stage& stage) const;

    /// Prevents its removal.
    void keep() { _over = true; }

    /// Removes it now. Returns what could not be removed, and is kept.
    std::vector<Remains> remove();

private:
    std::filesystem::path _path;
    FileDescriptor _folder; ///< what is removed is this, whatever has its name by then
    bool _over = false;
};

} // namespace agent
