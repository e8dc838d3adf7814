#pragma once

#include "plugins/git/Filter.h"
#include "plugins/git/Repository.h"
#include "plugins/git/Submodules.h"

#include <filesystem>
#include <map>
#include <string>

namespace agent::git
{

/// What of a repository the workspace gets.
struct CheckoutOptions
{
    int depth = 0;      ///< commits of history, and no other branches; 0: all
    Filter filter = {}; ///< that of the mirror, and of the workspace afterwards
    bool lfs = true;    ///< the content of files of Git LFS, where git-lfs is installed
    Keep keep = Keep::Nothing;
    std::filesystem::path covered = {}; ///< what git is not to see besides; empty: nothing
};

/// A workspace that is made from mirrors, in the stage's sandbox where it has one: there git sees the workspace and,
/// read-only, the mirror at hand, and none of this host's configuration but filters and line ends. Nothing outside the
/// sandbox asks the workspace for anything afterwards.
class Checkout
{
public:
    /// `workspace` is a folder, empty unless the options keep something of it.
    Checkout(const Surroundings& surroundings, std::filesystem::path workspace,
             CheckoutOptions options = {});

    /// Makes it a repository that is independent of the mirror, and checks the commit out. `trusted`: the mirror's
    /// objects are copied unread. With a filter, the mirror has the commit's files, and the workspace becomes a partial clone of the
    /// repository.
    /// Errors: Failure.
    void create(const Repository& repository, const std::filesystem::path& mirror,
                const std::string& commit, bool trusted) const;

    /// The same with a submodule of what stands at `parent` in the workspace.
    void add(const std::filesystem::path& parent, const Submodule& submodule,
             const Repository& repository, const std::filesystem::path& mirror) const;

private:
    void inTree(KeptTree::Task::Step step, const Repository& repository,
                const std::filesystem::path& mirror, const std::string& commit) const;
    void makeRepository(const Repository& repository, const std::filesystem::path& mirror,
                        const std::string& commit, bool trusted) const;
    void removeUntracked(const Repository& repository, const std::filesystem::path& mirror) const;
    void need(const Arguments& argv, const Repository& repository,
              const std::filesystem::path& mirror, const std::map<std::string, std::string>& env,
              const std::string& what) const;
    [[nodiscard]] Ended run(const Arguments& argv, const std::filesystem::path& mirror,
                            const std::map<std::string, std::string>& env) const;
    void warnOfPointers(const std::filesystem::path& folder,
                        const std::filesystem::path& mirror) const;

    const Surroundings& _surroundings;
    std::filesystem::path _workspace;
    CheckoutOptions _options;
    std::map<std::string, std::string> _settings; ///< GIT_CONFIG_* of a checkout
};

} // namespace agent::git
