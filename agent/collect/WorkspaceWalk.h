#pragma once

#include "agent/model/FilePatterns.h"
#include "agent/os/FileDescriptor.h"
#include "agent/os/RegularFile.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace agent
{

/// A file of the workspace, opened: whatever happens to its name now, it stays this one.
struct FoundFile
{
    std::string path; ///< relative to the workspace
    RegularFile file;
    unsigned mode = 0; ///< permissions only
    std::int64_t size = 0;
};

/// Goes through a workspace that a stage has left, and perhaps still changes: no symlink is followed, no other file
/// system entered, nothing waited for. It needs a handful of descriptors, whatever the depth.
class WorkspaceWalk
{
public:
    /// What is found. `omitted` gets what a pattern matches and can't be taken, with the reason.
    struct Visitor
    {
        std::function<void(FoundFile found)> file;
        std::function<void(const std::string& path, const std::string& why)> omitted;
    };

    /// Errors: std::system_error when the workspace can't be opened.
    WorkspaceWalk(const std::string& workspace, const std::vector<std::string>& patterns);

    /// Calls `visitor` for each entry that a pattern matches, in no order.
    /// Errors: NotKept for more folders than anybody has; what the visitor throws.
    void run(const Visitor& visitor);

    /// The patterns that no file has matched so far.
    [[nodiscard]] std::vector<std::string> unmatched() const;

private:
    struct Folder
    {
        std::string path; ///< empty: the workspace
        FilePatterns::Way way;
    };

    [[nodiscard]] std::size_t sizeOf(const Folder& folder) const;
    void visitFolder(const Folder& folder, const Visitor& visitor);
    void visitEntry(int folder, const Folder& above, const std::string& name, unsigned char kind,
                    const Visitor& visitor);
    void visitFile(int folder, const std::string& name, const std::string& path,
                   const FilePatterns::Way& way, const Visitor& visitor);

    std::vector<std::string> _texts;
    FilePatterns _patterns;
    FileDescriptor _root;
    dev_t _device = 0;
    std::uint64_t _mount = 0;
    std::vector<Folder> _waiting;
    std::size_t _waitingBytes = 0;
    std::vector<bool> _matched; ///< by pattern
};

} // namespace agent
