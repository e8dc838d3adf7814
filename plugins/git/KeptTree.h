#pragma once

#include "plugins/git/Program.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace agent::git
{

/// What a kept workspace keeps of the files of earlier runs.
enum class Keep
{
    Nothing, ///< it is none: the workspace is emptied
    Tracked, ///< files as the commit has them
    Ignored  ///< and those that the commit's .gitignore files ignore
};

/// The files that earlier runs left in a kept workspace (docs/workspaces.md). Nothing of them is trusted: what is not surely
/// as a fresh checkout would make it is removed, so that git writes it. Whether the content of the others is right, git
/// finds out: with an index that knows nothing of them it reads them all.
///
/// The work is done by this program once more, in the stage's sandbox where it has one: take() is what it does there.
class KeptTree
{
public:
    /// What to do in the workspace.
    struct Task
    {
        enum class Step
        {
            Begin,  ///< remove its repository, and what a killed one of these left
            Settle, ///< take the new repository in and remove what is not right
            Remove  ///< remove what git can't: folders without rights, or too deep for a path
        };

        Step step = Step::Begin;
        std::filesystem::path workspace;
        std::string commit = {};
        Keep keep = Keep::Tracked;
        bool converts = false; ///< a checkout changes line ends: no file is as the commit has it
    };

    /// Where the new repository is made, in the workspace.
    static constexpr const char* newRepository = ".stage-agent-clone";

    /// Returns argv and variables of the program that does the task.
    static std::vector<std::string> program();
    static std::map<std::string, std::string> variables(const Task& task);

    /// Does the task that this process was started for. Returns false where it was not.
    /// Errors: Failure.
    static bool take();
};

} // namespace agent::git
