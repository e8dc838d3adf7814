#include "plugins/git/Surroundings.h"

#include "agent/plugin/StagePlugin.h"
#include "plugins/git/Program.h"

#include <rapidjson/document.h>

namespace agent::git
{

Surroundings Surroundings::read()
{
    using Context = v1::StageContext;
    Surroundings read;
    if (const std::string file = Context::variable("STAGE_AGENT_GIT_CONFIG"); !file.empty())
        read.config = file;
    read.mirrorsTrusted = Context::variable("STAGE_AGENT_TRUSTED_MIRRORS") == "1";
    read.credential = Credential::take();
    read.forkOf = Context::variable("STAGE_AGENT_FORK_OF");
    read.branchOfCommit = Context::variable("STAGE_AGENT_BRANCH_OF_COMMIT");
    read.branchToTell = Context::variable("STAGE_AGENT_BRANCH_TO_TELL");
    read.recentCommits = Context::variable("STAGE_AGENT_RECENT_COMMITS") == "1";
    if (const std::string mode = Context::variable("STAGE_AGENT_WORKSPACE"); !mode.empty())
        read.keep = mode == "reuse" ? Keep::Ignored : Keep::Tracked;
    read.workspaceBranch = Context::variable("STAGE_AGENT_WORKSPACE_BRANCH");
    read.instead = Context::variable("STAGE_AGENT_WORKSPACE_INSTEAD");
    const std::string json = Context::variable("STAGE_AGENT_SANDBOX");
    if (json.empty())
        return read;
    rapidjson::Document document;
    if (document.Parse(json.c_str()).HasParseError() || !document.IsArray() || document.Empty())
        throw Failure("git: STAGE_AGENT_SANDBOX is no list of arguments");
    for (const auto& argument : document.GetArray())
    {
        if (!argument.IsString())
            throw Failure("git: STAGE_AGENT_SANDBOX is no list of arguments");
        read.sandbox.emplace_back(argument.GetString(), argument.GetStringLength());
    }
    return read;
}

std::map<std::string, std::string> Surroundings::checkoutSettings() const
{
    const Ended ended = runProgram(command::readCheckoutSettings(), environment("", false, config));
    std::map<std::string, std::string> variables;
    int count = 0;
    for (std::size_t begin = 0, end = 0; (end = ended.out.find('\0', begin)) != std::string::npos;
         begin = end + 1)
    {
        const std::string entry = ended.out.substr(begin, end - begin); // name, LF, value
        const auto lineEnd = std::min(entry.find('\n'), entry.size());
        const std::string number = std::to_string(count++);
        variables["GIT_CONFIG_KEY_" + number] = entry.substr(0, lineEnd);
        // One without a value is true.
        variables["GIT_CONFIG_VALUE_" + number] =
            lineEnd == entry.size() ? "true" : entry.substr(lineEnd + 1);
    }
    variables["GIT_CONFIG_COUNT"] = std::to_string(count);
    return variables;
}

} // namespace agent::git
