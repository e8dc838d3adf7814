#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace agent::git
{

/// A file of a commit.
struct TrackedFile
{
    int mode = 0; ///< 0100644, 0100755, 0120000 a symlink, 0160000 a submodule
    std::int64_t size = 0;
};

/// A folder of a commit.
struct TrackedFolder
{
    std::map<std::string, TrackedFolder> folders;
    std::map<std::string, TrackedFile> files;

    /// Reads what `git ls-tree -r -l -z` prints. `converted`: sizes in a workspace are others, unknown ones.
    /// Errors: Failure.
    static TrackedFolder from(std::string_view printed, bool converted);
};

/// The files in a workspace, which may be anything: links to elsewhere, FIFOs, folders without rights and as deep as they
/// like. Every name is looked up in a folder that is held open, no symlink is followed and no mount is entered.
/// Errors: Failure that names what can't be removed.
class LeftFiles
{
public:
    explicit LeftFiles(const std::filesystem::path& workspace);
    ~LeftFiles();
    LeftFiles(const LeftFiles&) = delete;
    LeftFiles& operator=(const LeftFiles&) = delete;

    /// Removes what has this path, unless it is gone.
    void remove(std::string_view path);

    /// Removes what is not as a checkout of the commit makes it, as far as that can be told without reading: type, size,
    /// rights, and that nothing else links to it. `untracked`: and what is not of the commit. Without it, of that only what
    /// would have git see the commit with other eyes.
    void keepOnly(const TrackedFolder& commit, bool untracked);

    /// Gives folders of the owner that lack them his rights back, as deep as they can be opened.
    void open();

private:
    void keepOnly(int folder, const TrackedFolder& commit, bool untracked, bool top);
    void openBelow(int folder);
    void removeAt(int folder, const std::string& name);
    void emptyTrash();

    int _top = -1;
    int _trash = -1;
    std::uint64_t _device = 0;
    std::uint64_t _removed = 0;
    unsigned _umask = 0;
};

} // namespace agent::git
