#pragma once

#include "plugins/git/Repository.h"

#include <filesystem>
#include <optional>
#include <string>

namespace agent::git
{

/// What a ref stands for.
struct Target
{
    std::string commit; ///< 40 hex digits
    std::string branch; ///< empty: the ref is no branch
};

/// The host's bare copy of a repository's branches and tags, in a folder named by the hash of its URL. Runs
/// fetch into it what is new and take their workspaces from it.
/// Threads and processes: an object holds the mirror's lock, so others of the same URL wait for its end.
/// git's processes inherit the lock: where this process is killed, it is free when the last of them is gone.
class Mirror
{
public:
    /// Blocks until the mirror is ours.
    Mirror(const Repository& repository, const std::filesystem::path& cache);
    ~Mirror();
    Mirror(const Mirror&) = delete;
    Mirror& operator=(const Mirror&) = delete;

    /// Fetches what is needed for `ref` and says what it is. A mirror that git can't use any more is made
    /// anew, once.
    /// Errors: Failure: no such ref, or the repository can't be reached.
    Target find(const std::string& ref);

    /// Makes `workspace`, an empty folder, a repository of its own that needs the mirror no more.
    /// Errors: Failure.
    void cloneInto(const std::filesystem::path& workspace) const;

    /// Throws the mirror away if git finds damage in it.
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
    bool _fresh = false; ///< made by this object: nothing in it can be old damage
};

} // namespace agent::git
