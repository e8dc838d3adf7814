#pragma once

#include "plugins/git/Repository.h"

#include <filesystem>
#include <optional>
#include <string>

namespace agent::git
{

/// A resolved ref.
struct Target
{
    std::string commit; ///< 40 hex digits
    std::string branch; ///< empty: the ref is not a branch
};

/// The host's bare mirror of a repository's branches and tags, in a folder named by the hash of its URL. Runs
/// fetch into it and create their workspaces from it.
/// Threads and processes: an object holds the mirror's lock, so others of the same URL wait. git's processes
/// inherit the lock: if this process is killed, it is released when the last of them has ended.
class Mirror
{
public:
    /// Blocks until it has the lock.
    Mirror(const Repository& repository, const std::filesystem::path& cache);
    ~Mirror();
    Mirror(const Mirror&) = delete;
    Mirror& operator=(const Mirror&) = delete;

    /// Fetches what `ref` needs and returns the resolved ref. Recreates a damaged mirror once.
    /// Errors: Failure if there is no such ref, or the repository can't be reached.
    Target find(const std::string& ref);

    /// Turns `workspace`, an empty folder, into a repository that is independent of the mirror.
    /// Errors: Failure.
    void cloneInto(const std::filesystem::path& workspace) const;

    /// Removes the mirror if git finds damage in it.
    bool discardIfDamaged();

private:
    class Damaged: public Failure
    {
        using Failure::Failure;
    };

    void lock();
    void create();
    void removeLeftovers() const;
    Target tryFind(const std::string& ref);
    Target findFetched(const std::string& ref) const;
    [[nodiscard]] std::optional<std::string> resolve(const std::string& name) const;
    std::string headOfRepository() const;
    void fetchAll() const;
    [[noreturn]] void failNoSuchRef(const std::string& ref, const std::string& why = "") const;

    const Repository& _repository;
    std::filesystem::path _path;
    int _lock = -1;
    bool _fresh = false; ///< created by this object, so it can't be damaged
};

} // namespace agent::git
