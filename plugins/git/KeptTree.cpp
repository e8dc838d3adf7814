#include "plugins/git/KeptTree.h"

#include "agent/plugin/StagePlugin.h"
#include "plugins/git/Git.h"
#include "plugins/git/LeftFiles.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace agent::git
{

namespace
{

constexpr const char* step = "STAGE_AGENT_GIT_TREE";
constexpr const char* commit = "STAGE_AGENT_GIT_COMMIT";
constexpr const char* keep = "STAGE_AGENT_GIT_KEEP";
constexpr const char* converts = "STAGE_AGENT_GIT_CONVERTS";

std::string need(const Arguments& argv, const std::string& workspace)
{
    const Ended ended = runProgram(argv, checkoutEnvironment(workspace));
    if (!ended.passed())
        throw Failure(ended.why());
    return ended.out;
}

/// Removes the files of which the content in the commit is not what a checkout writes: what is there may be right and look
/// wrong, or the other way round. Their folders are right by now, and the attributes are those of the commit.
void removeConverted(const fs::path& workspace)
{
    for (const Arguments& list :
         {command::listFiltered(workspace), command::listWithCrlf(workspace)})
    {
        const std::string names = need(list, workspace);
        for (std::size_t begin = 0, end = 0; (end = names.find('\0', begin)) != std::string::npos;
             begin = end + 1)
        {
            const fs::path file = workspace / names.substr(begin, end - begin);
            if (unlink(file.c_str()) != 0 && errno != ENOENT && errno != EISDIR && errno != ENOTDIR)
                throw Failure("can't remove " + file.string() + ": " + std::strerror(errno));
        }
    }
}

void settle(const fs::path& workspace, const std::string& to, Keep kept, bool converted)
{
    const fs::path made = workspace / KeptTree::newRepository;
    if (fs::is_directory(fs::symlink_status(made)))
    {
        fs::rename(made / ".git", workspace / ".git");
        fs::remove(made);
    }
    need(command::readTree(workspace, to), workspace);
    LeftFiles(workspace).keepOnly(
        TrackedFolder::from(need(command::listFiles(workspace, to), workspace), converted),
        kept == Keep::Tracked);
    removeConverted(workspace);
}

} // namespace

std::vector<std::string> KeptTree::program()
{
    Dl_info library = {};
    if (dladdr(reinterpret_cast<void*>(&settle), &library) == 0)
        throw Failure("git: can't find its own library");
    return {fs::read_symlink("/proc/self/exe").string(), fs::absolute(library.dli_fname).string(),
            "/tmp"};
}

std::map<std::string, std::string> KeptTree::variables(const Task& task)
{
    auto env = checkoutEnvironment(task.workspace);
    env["WORKSPACE"] = task.workspace;
    env[step] = task.step == Task::Step::Begin    ? "begin"
                : task.step == Task::Step::Settle ? "settle"
                                                  : "remove";
    env[commit] = task.commit;
    env[keep] = task.keep == Keep::Ignored ? "ignored" : "tracked";
    env[converts] = task.converts ? "1" : "";
    return env;
}

bool KeptTree::take()
{
    using Context = v1::StageContext;
    const std::string wanted = Context::variable(step);
    if (wanted.empty())
        return false;
    const fs::path workspace = Context::variable("WORKSPACE");
    if (wanted == "begin")
    {
        LeftFiles left(workspace);
        left.remove(".git");
        left.remove(newRepository);
    }
    else if (wanted == "settle")
        settle(workspace, Context::variable(commit),
               Context::variable(keep) == "ignored" ? Keep::Ignored : Keep::Tracked,
               Context::variable(converts) == "1");
    else
    {
        LeftFiles(workspace).open();
        const std::string names = need(command::listUntracked(workspace), workspace);
        LeftFiles left(workspace);
        for (std::size_t begin = 0, end = 0; (end = names.find('\0', begin)) != std::string::npos;
             begin = end + 1)
            left.remove(names.substr(begin, end - begin));
    }
    return true;
}

} // namespace agent::git
