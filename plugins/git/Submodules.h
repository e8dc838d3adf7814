#pragma once

#include "plugins/git/Repository.h"

#include <string>
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

} // namespace agent::git
