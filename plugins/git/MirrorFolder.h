#pragma once

#include "plugins/git/Filter.h"
#include "plugins/git/Repository.h"

#include <filesystem>
#include <string>

namespace agent::git
{

/// The folder of the host's bare mirror of a repository, named by the hash of its mirrorName: one for all users and
/// tokens. With a filter it is another one, that of the name and the filter: a mirror in which files are missing never
/// stands for one that has them all.
///
/// A stage that runs as the agent's user may have written to it. So nothing in it but refs and objects is believed:
/// its configuration is written anew before each use, and hooks, alternates and whatever else steers git are removed.
/// A mirror that can't be used is set aside, as `NAME.N.aside` beside it, and made anew.
///
/// Its `.lock` file has the mirrorName, and the filter, as its text, and its last use as its time of modification: by them the agent
/// removes mirrors that are not used (run/UnusedMirrors).
///
/// Threads and processes: an object holds the mirror's lock, so others of the same name wait. git's processes outside
/// the sandbox inherit the lock: if this process is killed, it is released when the last of them has ended.
class MirrorFolder
{
public:
    /// `folder`: of all mirrors. `trusted`: no stage can write there now. Blocks until it has the lock.
    MirrorFolder(const Repository& repository, const std::filesystem::path& folder, bool trusted,
                 const Filter& filter);
    ~MirrorFolder();
    MirrorFolder(const MirrorFolder&) = delete;
    MirrorFolder& operator=(const MirrorFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return _path; }

    /// Whether no stage could write to it since it was made, as far as uses of it tell.
    [[nodiscard]] bool trusted() const;

    /// Whether it was created by this object, so that it can't be damaged.
    [[nodiscard]] bool fresh() const { return _fresh; }

    /// Puts an empty mirror in its place. `format`: sha1 or sha256.
    void recreate(const std::string& format);

    /// The same, but keeps the old one beside it. `why` is for the log.
    /// Errors: Failure if it can't be moved.
    void setAside(const std::string& why);

    /// Whether the repository's URL, with its user and password or credential, was fetched from before: a commit's id alone shows
    /// nobody what his password would not.
    [[nodiscard]] bool fetchedByUs() const;
    void rememberFetch() const;

private:
    void lock(const std::string& name);
    void prepare();
    void removeStrangers() const;
    void removeLeftovers() const;
    void writeConfig(const std::string& format) const;

    const Repository& _repository;
    std::filesystem::path _path;
    const bool _trusted; ///< as one that is made now is
    int _lock = -1;
    bool _fresh = false;
};

} // namespace agent::git
