#include "agent/run/FilePipeline.h"

#include "agent/plugin/PluginRegistry.h"
#include "agent/run/ConditionKeys.h"
#include "agent/run/InputRules.h"
#include "agent/run/Pipeline.h"
#include "agent/run/PipelineKeys.h"
#include "agent/run/RefusedVariables.h"
#include "agent/run/SecretGrants.h"

#include <algorithm>
#include <stdexcept>

namespace agent
{

namespace
{

/// Holds the stages and variables of a file against what its service allows.
class FileCheck
{
public:
    FileCheck(const PipelineSpec& submitted, ParsedPipeline& file)
        : _submitted(submitted), _rules(submitted.file->allow), _file(file)
    {
    }

    void checkAll()
    {
        for (const auto& [name, value] : _file.spec.env)
            checkVariable(name);
        for (std::size_t i = 0; i < _file.spec.stages.size(); ++i)
            checkStage(_file.spec.stages[i], "stages[" + std::to_string(i) + ']');
    }

private:
    void checkVariable(const std::string& name)
    {
        if (const std::string wrong = requestVariableProblem(name); !wrong.empty())
            tell("env." + name, wrong);
        if (_submitted.grants.contains(name))
            tell("env." + name, "is a secret of the service");
    }

    void checkStage(const StageSpec& stage, const std::string& key)
    {
        if (std::find(_rules.plugins.begin(), _rules.plugins.end(), stage.plugin) ==
            _rules.plugins.end())
            tell(key + ".plugin",
                 "the service does not allow the plugin '" + stage.plugin +
                     "' to this file; it allows: " + allowedPlugins() +
                     (stage.plugin == "git" ? "; the commit is checked out already" : ""));
        checkMost(key + ".limits.memory", stage.limits.memoryBytes, _rules.limits.memoryBytes,
                  " bytes");
        checkMost(key + ".limits.cpu", stage.limits.cpuPercent, _rules.limits.cpuPercent, "%");
        checkMost(key + ".limits.pids", stage.limits.pids, _rules.limits.pids, "");
        checkMost(key + ".timeout", stage.timeoutMs.value_or(0), _rules.timeoutMs.value_or(0),
                  "ms");
        for (std::size_t i = 0; i < stage.secrets.size(); ++i)
            if (const auto wrong = grantProblem(_submitted, stage.secrets[i], stage.type);
                !wrong.empty())
                tell(key + ".secrets[" + std::to_string(i) + ']', wrong);
        for (std::size_t i = 0; i < stage.needs.size(); ++i)
            checkNeed(stage.needs[i], key + ".needs[" + std::to_string(i) + ']');
        if (stage.graceMs.value_or(0) > pipelineBounds::fileGraceMs)
            tell(key + ".grace", "must not be longer than " +
                                     std::to_string(pipelineBounds::fileGraceMs / 1000) + "s");
    }

    void checkNeed(const NeedSpec& need, const std::string& key)
    {
        if (_submitted.fork)
            return tell(key, "what another service made is for no run of a fork's pull request");
        if (std::find(_rules.needs.begin(), _rules.needs.end(), need.service) == _rules.needs.end())
            tell(key + ".service",
                 "the service does not allow this file to need '" + need.service +
                     "': allow.needs of its own file says what it may; that is: " +
                     (_rules.needs.empty() ? "nothing" : joined(_rules.needs)));
    }

    static std::string joined(const std::vector<std::string>& names)
    {
        std::string all;
        for (const std::string& name : names)
            all += (all.empty() ? "" : ", ") + name;
        return all;
    }

    void checkMost(const std::string& key, std::int64_t asked, std::int64_t most, const char* unit)
    {
        if (most > 0 && asked > most)
            tell(key, "the service allows at most " + std::to_string(most) + unit);
    }

    [[nodiscard]] std::string allowedPlugins() const
    {
        return _rules.plugins.empty() ? "none" : joined(_rules.plugins);
    }

    void tell(const std::string& key, const std::string& message)
    {
        Problem problem{.file = _submitted.file->path, .key = key, .message = message};
        findPlace(problem, _file.places);
        _file.problems.push_back(std::move(problem));
    }

    const PipelineSpec& _submitted;
    const FileRules& _rules;
    ParsedPipeline& _file;
};

std::int64_t within(std::int64_t asked, std::int64_t most)
{
    return asked == 0 ? most : asked;
}

/// Gives a stage what the service demands of it, whatever the file says.
void demand(StageSpec& stage, const FileRules& rules, std::int64_t defaultTimeoutMs)
{
    stage.limits.memoryBytes = within(stage.limits.memoryBytes, rules.limits.memoryBytes);
    stage.limits.cpuPercent = within(stage.limits.cpuPercent, rules.limits.cpuPercent);
    stage.limits.pids = within(stage.limits.pids, rules.limits.pids);
    if (rules.timeoutMs && !stage.timeoutMs &&
        (defaultTimeoutMs == 0 || defaultTimeoutMs > *rules.timeoutMs))
        stage.timeoutMs = rules.timeoutMs;
    if (deploys(stage.type) && std::find(rules.withoutApproval.begin(), rules.withoutApproval.end(),
                                         stage.type) == rules.withoutApproval.end())
        stage.approval.required = true;
}

} // namespace

ParsedPipeline filePipeline(const PipelineSpec& submitted, const std::string& text,
                            const PluginRegistry& plugins, std::int64_t defaultTimeoutMs)
{
    const PipelineFile& file = *submitted.file;
    ParsedPipeline parsed = parsePipelineFile(text, file.path);
    FileCheck(submitted, parsed).checkAll();
    PipelineSpec whole = submitted;
    whole.file.reset();
    whole.stages = std::move(parsed.spec.stages);
    if (parsed.problems.empty())
        parsed.problems = checkPlugins(whole, plugins, file.path, parsed.places);
    for (std::size_t i = 0; i < whole.stages.size(); ++i)
    {
        demand(whole.stages[i], file.allow, defaultTimeoutMs);
        if (const std::string wrong = togetherProblem(whole.stages[i]);
            !wrong.empty() && parsed.problems.empty())
            parsed.problems.push_back(
                {.file = file.path, .key = "stages[" + std::to_string(i) + "]", .message = wrong});
    }
    if (!file.deploys)
        std::erase_if(whole.stages, [](const StageSpec& stage) { return deploys(stage.type); });
    whole.stages.insert(whole.stages.begin(), submitted.stages.begin(), submitted.stages.end());
    // What the service or the request says stays.
    whole.env.insert(parsed.spec.env.begin(), parsed.spec.env.end());
    parsed.spec = std::move(whole);
    return parsed;
}

std::string summaryOf(const std::vector<Problem>& problems)
{
    constexpr std::size_t shown = 5;
    std::string text;
    for (std::size_t i = 0; i < problems.size() && i < shown; ++i)
        text += (text.empty() ? "" : "; ") + problems[i].describe();
    if (problems.size() > shown)
        text += "; and " + std::to_string(problems.size() - shown) + " more";
    return fittedText(text, bounds::reason);
}

} // namespace agent
