#include "agent/exec/ExecRequest.h"

#include "agent/run/InputRules.h"

#include <Poco/Util/Option.h>
#include <Poco/Util/OptionSet.h>

#include <system_error>

namespace agent
{

using Poco::Util::Option;

namespace
{

ExecRefusal wrong(const std::string& message)
{
    return {ExecExit::Usage, message};
}

/// `DIR` without links and dots, as the stage will see it.
std::filesystem::path existingFolder(const char* option, const std::filesystem::path& given)
{
    std::error_code error;
    auto folder = std::filesystem::canonical(given, error);
    if (!error && !std::filesystem::is_directory(folder, error) && !error)
        error = std::make_error_code(std::errc::not_a_directory);
    if (error)
        throw wrong(std::string(option) + " " + given.string() + ": " + error.message());
    return folder;
}

} // namespace

void ExecRequest::defineOptions(Poco::Util::OptionSet& options)
{
    options.addOption(Option("exec", "",
                             "run one stage of a service here and now: --exec [options] -- SERVICE "
                             "STAGE; what `stagectl exec` does"));
    options.addOption(Option("commit", "", "with --exec: the commit to build").argument("HASH"));
    options.addOption(Option("branch", "", "with --exec: the branch to build").argument("NAME"));
    options.addOption(Option("env", "", "with --exec: a variable for the stages")
                          .argument("NAME=VALUE")
                          .repeatable(true));
    options.addOption(
        Option("workspace", "", "with --exec: run the stage in this folder").argument("DIR"));
    options.addOption(
        Option("from", "", "with --exec: run the stage in a copy of this folder").argument("DIR"));
    options.addOption(Option("with-before", "", "with --exec: run the stages before it too"));
    options.addOption(Option("keep", "", "with --exec: keep the throw-away folder"));
    options.addOption(Option("raw", "", "with --exec: the log's bytes exactly"));
    options.addOption(Option("yes", "", "with --exec: also a deployment"));
}

bool ExecRequest::take(const std::string& name, const std::string& value)
{
    if (name == "exec")
        _wanted = true;
    else if (name == "commit")
        commit = value;
    else if (name == "branch")
        branch = value;
    else if (name == "env")
        _env.push_back(value);
    else if (name == "workspace")
        workspace = value;
    else if (name == "from")
        from = value;
    else if (name == "with-before")
        withBefore = true;
    else if (name == "keep")
        keep = true;
    else if (name == "raw")
        raw = true;
    else if (name == "yes")
        sure = true;
    else
        return false;
    if (name != "exec")
        _stray = name;
    return true;
}

void ExecRequest::check(const std::vector<std::string>& arguments)
{
    if (!_wanted)
        throw wrong("--" + _stray + " goes with --exec only");
    if (arguments.size() != 2)
        throw wrong("--exec takes SERVICE and STAGE");
    service = arguments[0];
    stage = arguments[1];
    if (const auto problem = commit.empty() ? "" : commitProblem(commit); !problem.empty())
        throw wrong("--commit " + problem);
    if (const auto problem = branch.empty() ? "" : branchProblem(branch); !problem.empty())
        throw wrong("--branch " + problem);
    for (const auto& entry : _env)
    {
        const auto equals = entry.find('=');
        if (equals == std::string::npos)
            throw wrong("--env takes NAME=VALUE, not '" + entry + "'");
        const std::string name = entry.substr(0, equals);
        const std::string value = entry.substr(equals + 1);
        if (const auto problem = environmentProblem(name); !problem.empty())
            throw wrong(std::string("--env: the name '").append(name).append("' ").append(problem));
        if (const auto problem = environmentValueProblem(value); !problem.empty())
            throw wrong(
                std::string("--env: the value of ").append(name).append(" ").append(problem));
        env[name] = value;
    }
    const int places = (workspace.empty() ? 0 : 1) + (from.empty() ? 0 : 1) + (withBefore ? 1 : 0);
    if (places > 1)
        throw wrong("--workspace, --from and --with-before exclude each other");
    if (!workspace.empty())
        workspace = existingFolder("--workspace", workspace);
    if (!from.empty())
        from = existingFolder("--from", from);
}

} // namespace agent
