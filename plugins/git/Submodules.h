#pragma once

#include "plugins/git/Repository.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace agent::git
{

/// A submodule as a commit has it.
struct Submodule
{
    std::string name;
    std::string path;   ///< relative to its repository
    std::string url;    ///< as written: maybe relative
    std::string commit; ///< of the submodule
};

/// Returns the submodules of `commit`, read from the mirror of `repository`: what a workspace says is not asked. Those
/// that .gitmodules names but the commit does not hold, or that say `update = none`, are none.
/// Errors: Failure if .gitmodules can't be read, or names too many.
std::vector<Submodule> submodulesOf(const Repository& repository, const std::string& mirror,
                                    const std::string& commit);

/// Those that a fork's pull request may have: of what a stranger names, the agent fetches nothing from where the stage itself
/// may not be able to, and with no credential.
class AllowedSubmodules
{
public:
    /// `ofBase`: what `repository` has at the branch that it is to go into.
    AllowedSubmodules(const Repository& repository, const std::vector<Submodule>& ofBase);

    /// Errors: Failure if its address is none of them.
    void require(const Repository& submodule) const;

    /// Whether the base has it at this commit: then what is nested in it is the base's too.
    [[nodiscard]] bool hasAt(const Repository& submodule, const std::string& commit) const;

private:
    std::set<std::pair<std::string, std::string>> _all; ///< addresses with commits
};

} // namespace agent::git
