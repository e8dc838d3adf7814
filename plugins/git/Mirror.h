#pragma once

#include "plugins/git/MirrorFolder.h"

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace agent::git
{

/// A resolved ref.
struct Target
{
    std::string commit; ///< 40 hex digits, or 64 of SHA-256
    std::string branch; ///< empty: the ref is not a branch
};

/// The branches and tags of a repository, in the host's mirror of it. Runs fetch into it and create their workspaces
/// from it. An object holds the mirror's lock, see MirrorFolder.
class Mirror
{
public:
    /// As MirrorFolder. Blocks until it has the lock.
    Mirror(const Repository& repository, const std::filesystem::path& folder, bool trusted,
           Filter filter = {})
        : _repository(repository),
          _filter(std::move(filter)),
          _folder(repository, folder, trusted, _filter)
    {
    }

    /// Fetches what `ref` needs and returns the resolved ref. A full commit id that the mirror has needs no fetch,
    /// where the same URL, with the same user and password, was fetched from before. Recreates a damaged mirror once.
    /// Errors: Failure if there is no such ref, or the repository can't be reached.
    Target find(const std::string& ref);

    /// Sees that the files of a commit of the mirror are there, or the one at `path`: fetches what the filter left out, all in
    /// one request. Does nothing without a filter. Recreates a damaged mirror once.
    /// Errors: Failure if the repository can't be reached, or has not got them.
    void bring(const std::string& commit, const std::string& path = "");

    /// Sees that the commit is on the branch, or is the tag of this name where there is no such branch. Fetches,
    /// unless this object did: what the mirror shows may be long ago.
    /// Errors: Failure if it is not.
    void requireOn(const std::string& commit, const std::string& branch);

    /// Returns whether it is, as far as the mirror knows. Fetches nothing.
    [[nodiscard]] bool isOn(const std::string& commit, const std::string& branch) const;

    /// The same. Where it is not, fetches, unless this object did: the commit may have been known before the branch got it, as
    /// from a pull request. False too where the repository can't be reached.
    [[nodiscard]] bool isOnNow(const std::string& commit, const std::string& branch);

    [[nodiscard]] const std::filesystem::path& path() const { return _folder.path(); }

    [[nodiscard]] bool trusted() const { return _folder.trusted(); }

    /// Replaces the mirror if git finds damage in it. Returns whether it did.
    bool replaceIfDamaged();

private:
    class Damaged: public Failure
    {
        using Failure::Failure;
    };

    Target tryFind(const std::string& ref);
    Target findFetched(const std::string& ref) const;
    [[nodiscard]] std::optional<std::string> resolve(const std::string& name) const;
    std::string headOfRepository() const;
    void fetchAll();
    /// Returns whether the server can leave files out.
    bool serverFilters();
    const std::string& filterOfServer();
    void warnOfServer() const;
    [[nodiscard]] std::string missing(const std::string& commit, const std::string& path) const;
    void tryBring(const std::string& commit, const std::string& path);
    [[noreturn]] void failNoSuchRef(const std::string& ref, const std::string& why = "") const;

    const Repository& _repository;
    const Filter _filter;
    MirrorFolder _folder;
    bool _fetched = false;
    std::optional<bool> _serverFilters; ///< once asked
};

} // namespace agent::git
