#include "agent/plugin/StagePlugin.h"
#include "plugins/git/Mirror.h"
#include "plugins/git/Workspace.h"

#include <iostream>

namespace agent::git
{

namespace
{

constexpr std::size_t maxMessageBytes = 65'536; // the record's limit
constexpr std::size_t maxCommitterBytes = 1024;

/// Returns `text` up to `end`, or all of it.
std::string upTo(const std::string& text, char end)
{
    return text.substr(0, text.find(end));
}

} // namespace

/// Checks a commit out into the workspace: repository → the host's mirror → the workspace.
class GitPlugin: public v1::StagePlugin
{
public:
    v1::Result run(const v1::StageContext& context) override
    {
        try
        {
            checkOut(context);
            return v1::Result::passed();
        }
        catch (const Failure& failure)
        {
            return v1::Result::failed(failure.what());
        }
    }

private:
    static void checkOut(const v1::StageContext& context)
    {
        const Repository repository(context.setting("repository"));
        const std::string ref = context.setting("ref");
        if (const std::string why = refuseRef(ref); !why.empty())
            throw Failure("git: ref '" + printable(ref) + "' of " + repository.name() + " " + why);
        const std::filesystem::path& workspace = context.workspace;
        refuseToEmpty(workspace);

        Target target = takeFromMirror(repository, ref, context);
        Ended ended = repository.run(command::checkOut(workspace, target.commit));
        if (!ended.passed() && Mirror(repository, context.cache).discardIfDamaged())
        {
            target = takeFromMirror(repository, ref, context);
            ended = repository.run(command::checkOut(workspace, target.commit));
        }
        if (!ended.passed())
            throw Failure("git: can't check out " + target.commit + " of " + repository.name() +
                          ": " + repository.why(ended));
        if (context.enabled("submodules"))
            checkOutSubmodules(repository, workspace);
        tell(repository, target, context);
    }

    static void refuseToEmpty(const std::filesystem::path& workspace)
    {
        // An earlier attempt could have replaced it by a link to another folder.
        if (!workspace.is_absolute() || workspace == workspace.root_path() ||
            std::filesystem::is_symlink(workspace))
            throw Failure("git: WORKSPACE is not a folder: '" + workspace.string() + "'");
        std::filesystem::create_directories(workspace);
    }

    /// Empties the workspace before any use of git, see emptyFolder.
    static Target takeFromMirror(const Repository& repository, const std::string& ref,
                                 const v1::StageContext& context)
    {
        emptyFolder(context.workspace);
        Mirror mirror(repository, context.cache);
        Target target = mirror.find(ref);
        mirror.cloneInto(context.workspace);
        return target;
    }

    static void checkOutSubmodules(const Repository& repository,
                                   const std::filesystem::path& workspace)
    {
        std::cout << "git: fetching submodules" << std::endl;
        const Ended ended = repository.runForSubmodules(command::checkOutSubmodules(workspace));
        if (!ended.passed())
            throw Failure("git: can't check out the submodules of " + repository.name() + ": " +
                          repository.why(ended));
    }

    static void tell(const Repository& repository, const Target& target,
                     const v1::StageContext& context)
    {
        const Ended ended = repository.run(command::describe(context.workspace, target.commit));
        const std::string committer = upTo(ended.out, '\0');
        if (!ended.passed() || committer.size() == ended.out.size())
            throw Failure("git: can't read commit " + target.commit + " of " + repository.name() +
                          ": " + repository.why(ended));
        const std::string message =
            asUtf8(std::string_view(ended.out).substr(committer.size() + 1), maxMessageBytes);

        context.outputs["commitHash"] = target.commit;
        context.outputs["commitMessage"] = message;
        context.outputs["committer"] = asUtf8(committer, maxCommitterBytes);
        if (!target.branch.empty())
            context.outputs["branch"] = target.branch;
        std::cout << "git: checked out " << target.commit.substr(0, 12) << " \""
                  << upTo(message, '\n') << '"' << std::endl;
    }
};

} // namespace agent::git

STAGE_AGENT_PLUGIN(agent::git::GitPlugin)
