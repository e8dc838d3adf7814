#include "agent/plugin/StagePlugin.h"
#include "plugins/git/Checkout.h"
#include "plugins/git/Mirror.h"
#include "plugins/git/PipelineFile.h"
#include "plugins/git/Submodules.h"
#include "plugins/git/Workspace.h"

#include <charconv>
#include <iostream>
#include <optional>
#include <vector>

namespace agent::git
{

namespace
{

constexpr const char* mirrors = "mirrors";      ///< in the plugin's cache
constexpr std::size_t maxMessageBytes = 65'536; // the record's limit
constexpr std::size_t maxCommitterBytes = 1024;
constexpr int maxRecentCommits = 100;
constexpr std::size_t maxSubjectBytes = 120;
constexpr std::size_t maxRecentBytes = 8192; // they stand in the record, for each run

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
            if (!KeptTree::take())
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
        const Surroundings surroundings = Surroundings::read();
        const Repository repository(context.setting("repository"), surroundings);
        const std::string ref = context.setting("ref");
        if (const std::string why = refuseRef(ref); !why.empty())
            throw Failure("git: ref '" + printable(ref) + "' of " + repository.name() + " " + why);
        CheckoutOptions options = optionsOf(context);
        if (surroundings.keep == Keep::Nothing)
        {
            refuseToEmpty(context.workspace);
            emptyFolder(context.workspace); // also where nothing is checked out in the end
        }
        std::string branch; ///< that the commit is known to be on
        const PipelineFile pipeline = PipelineFile::read();
        std::optional<Checkout> checkout;
        std::vector<Submodule> submodules;
        std::optional<AllowedSubmodules> allowed;
        {
            Mirror mirror(repository, context.cache / mirrors, surroundings.mirrorsTrusted,
                          options.filter);
            const Target target = withWholeMirror(
                mirror, ref,
                [&](const Target& found)
                {
                    branch = branchOf(mirror, found, surroundings);
                    const auto workspace = choose(surroundings, branch, context, options);
                    refuseToEmpty(workspace);
                    // Before any use of git there.
                    if (options.keep == Keep::Nothing)
                        emptyFolder(workspace);
                    checkout.emplace(surroundings, workspace, options);
                    checkout->create(repository, mirror.path(), found.commit, mirror.trusted());
                    if (pipeline.wanted())
                        pipeline.handOver(repository, mirror, found.commit);
                });
            if (!surroundings.branchOfCommit.empty())
                mirror.requireOn(target.commit, surroundings.branchOfCommit);
            if (context.enabled("submodules"))
                submodules = submodulesOf(repository, mirror.path(), target.commit);
            if (!surroundings.forkOf.empty() && !submodules.empty())
                allowed.emplace(repository, submodulesOfBase(mirror, repository, surroundings));
            tell(repository, mirror.path(), target, context);
            if (!branch.empty())
                context.outputs["branch"] = branch;
            if (surroundings.recentCommits)
                tellRecent(repository, mirror.path(), target, context);
        }
        if (!submodules.empty())
            Submoduler{surroundings, *checkout, context.cache}.addAll(
                repository, "", submodules, allowed ? &*allowed : nullptr);
    }

    /// Returns the branch that the commit is known to be on; empty: none.
    static std::string branchOf(Mirror& mirror, const Target& target,
                                const Surroundings& surroundings)
    {
        const std::string& asked = surroundings.branchToTell;
        if (!target.branch.empty() || asked.empty() || !mirror.isOnNow(target.commit, asked))
            return target.branch;
        return asked;
    }

    /// Returns where the checkout is made. A kept workspace is for commits of its branch alone: what another one leaves
    /// there, later runs of the branch would find.
    static std::filesystem::path choose(const Surroundings& surroundings, const std::string& branch,
                                        const v1::StageContext& context, CheckoutOptions& options)
    {
        options.keep = surroundings.keep;
        options.covered.clear();
        if (surroundings.instead.empty() || branch == surroundings.workspaceBranch)
            return context.workspace;
        std::cout << "git: the commit is not known to be on the branch '"
                  << printable(surroundings.workspaceBranch)
                  << "': the run has a workspace of its own, not the kept one" << std::endl;
        options.keep = Keep::Nothing;
        options.covered = context.workspace;
        return surroundings.instead;
    }

    static CheckoutOptions optionsOf(const v1::StageContext& context)
    {
        constexpr int deepest = 1'000'000;
        const std::string text = context.setting("depth");
        int depth = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), depth);
        const bool whole = error == std::errc{} && end == text.data() + text.size();
        if (!text.empty() && (!whole || depth < 0 || depth > deepest))
            throw Failure("git: depth must be a whole number from 0 to 1000000, and is " +
                          printable(text));
        return {.depth = depth,
                .filter = Filter::parse(context.setting("filter")),
                .lfs = context.setting("lfs") != "false"};
    }

    /// Calls `use` with the resolved ref; a second time, where it fails and the mirror was to blame.
    template <typename Use>
    static Target withWholeMirror(Mirror& mirror, const std::string& ref, const Use& use)
    {
        Target target = mirror.find(ref);
        mirror.bring(target.commit);
        try
        {
            use(target);
            return target;
        }
        catch (const Failure&)
        {
            if (!mirror.replaceIfDamaged())
                throw;
        }
        target = mirror.find(ref);
        mirror.bring(target.commit);
        use(target);
        return target;
    }

    /// What the branch has that a fork's pull request is to go into.
    static std::vector<Submodule> submodulesOfBase(Mirror& mirror, const Repository& repository,
                                                   const Surroundings& surroundings)
    {
        const std::string& base = surroundings.forkOf;
        const Target target = mirror.find(base == "HEAD" ? base : "refs/heads/" + base);
        mirror.bring(target.commit, ".gitmodules");
        return submodulesOf(repository, mirror.path(), target.commit);
    }

    /// Adds submodules and theirs. Of the mirrors one at a time is locked: two runs may need the same in another order.
    struct Submoduler
    {
        const Surroundings& surroundings;
        const Checkout& checkout;
        const std::filesystem::path& cache;

        /// `allowed`: nullptr where the commit of `parent` is one of the repository itself.
        void addAll(const Repository& parent, const std::filesystem::path& folder,
                    const std::vector<Submodule>& submodules,
                    const AllowedSubmodules* allowed) const
        {
            for (const Submodule& submodule : submodules)
            {
                const Repository repository(parent, submodule.url, surroundings);
                if (allowed)
                    allowed->require(repository);
                const bool asInBase = allowed && allowed->hasAt(repository, submodule.commit);
                std::vector<Submodule> nested;
                {
                    Mirror mirror(repository, cache / mirrors, surroundings.mirrorsTrusted);
                    withWholeMirror(mirror, submodule.commit,
                                    [&](const Target&) {
                                        checkout.add(folder, submodule, repository, mirror.path());
                                    });
                    nested = submodulesOf(repository, mirror.path(), submodule.commit);
                }
                addAll(repository, folder / submodule.path, nested, asInBase ? nullptr : allowed);
            }
        }
    };

    static void refuseToEmpty(const std::filesystem::path& workspace)
    {
        // An earlier attempt could have replaced it by a link to another folder.
        if (!workspace.is_absolute() || workspace == workspace.root_path() ||
            std::filesystem::is_symlink(workspace))
            throw Failure("git: WORKSPACE is not a folder: '" + workspace.string() + "'");
        std::filesystem::create_directories(workspace);
    }

    /// What is told comes from the mirror: the workspace is a stage's.
    static void tell(const Repository& repository, const std::filesystem::path& mirror,
                     const Target& target, const v1::StageContext& context)
    {
        const Ended ended = repository.run(command::describe(mirror, target.commit));
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

    /// For people alone: where it can't be read, the stage goes on without it.
    static void tellRecent(const Repository& repository, const std::filesystem::path& mirror,
                           const Target& target, const v1::StageContext& context)
    {
        const Ended ended =
            repository.run(command::recentCommits(mirror, target.commit, maxRecentCommits));
        std::string lines;
        for (std::size_t begin = 0, end = 0;
             (end = ended.out.find('\n', begin)) != std::string::npos; begin = end + 1)
        {
            const std::string line = asUtf8(std::string_view(ended.out).substr(begin, end - begin),
                                            target.commit.size() + 1 + maxSubjectBytes);
            if (lines.size() + line.size() >= maxRecentBytes)
                break;
            lines += line + "\n";
        }
        const bool fits =
            context.outputs["commitMessage"].size() + maxRecentBytes < maxMessageBytes;
        if (ended.passed() && fits && !lines.empty())
            context.outputs["recentCommits"] = lines;
    }
};

} // namespace agent::git

STAGE_AGENT_PLUGIN(agent::git::GitPlugin)
