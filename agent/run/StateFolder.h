#pragma once

#include "agent/model/Stage.h"
#include "agent/os/FileDescriptor.h"
#include "agent/os/FreeSpace.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace agent
{

/// The daemon's folder on disk and where everything in it stands.
class StateFolder
{
public:
    /// Makes the folder (mode 0700) where missing and locks it for this process.
    /// Errors: std::runtime_error that names the folder: not writable, or another stage-agent has it.
    explicit StateFolder(const std::filesystem::path& root);

    [[nodiscard]] const std::filesystem::path& root() const { return _root; }
    [[nodiscard]] std::filesystem::path record() const { return _root / "record.db"; }
    [[nodiscard]] std::filesystem::path mirrors() const { return _root / "mirrors"; }
    /// What stages made that is kept: docs/artifacts.md. Made by the first stage that has any.
    [[nodiscard]] std::filesystem::path artifacts() const { return _root / "artifacts"; }
    /// Holds a link to each content of the run's artifacts.
    [[nodiscard]] std::filesystem::path artifactSets(const std::string& runId) const
    {
        return artifacts() / "sets" / runId;
    }
    [[nodiscard]] std::filesystem::path artifactSet(const std::string& runId,
                                                    const std::string& stageId, int attempt) const
    {
        return artifactSets(runId) / (stageId + '.' + std::to_string(attempt));
    }
    [[nodiscard]] std::filesystem::path trash() const { return _root / "trash"; }
    [[nodiscard]] std::filesystem::path run(const std::string& runId) const;
    /// The run's own, see workspaceOf().
    [[nodiscard]] std::filesystem::path workspace(const std::string& runId) const;
    /// Workspaces that services keep: docs/workspaces.md. Made by the first one.
    [[nodiscard]] std::filesystem::path keptWorkspaces() const { return _root / "workspaces"; }
    /// HOME of the run's stages in a sandbox.
    [[nodiscard]] std::filesystem::path home(const std::string& runId) const;
    [[nodiscard]] std::filesystem::path stage(const Stage& stage) const;
    [[nodiscard]] std::filesystem::path attempt(const Stage& stage, int attempt) const;

    /// Writes `<state.dir>/address` in one step, so that a reader never sees half of it, and over the last one, so that
    /// it needs no space.
    void writeAddress(const std::string& url) const;
    void removeAddress() const noexcept;

    /// The pid of the stage-agent that has the folder at `root` now. Only looks: a lock of ours, were it for a
    /// moment, could keep one from starting. Returns nothing when none has it, or when that can't be read.
    static std::optional<int> holder(const std::filesystem::path& root);

    /// What is left for us on its file system; no bytes when that can't be told.
    [[nodiscard]] FreeSpace free() const;

private:
    std::filesystem::path _root;
    FileDescriptor _lock;
};

} // namespace agent
