#include "agent/run/PipelineFileReader.h"

#include "agent/run/InputRules.h"
#include "agent/run/PipelineKeys.h"
#include "agent/run/PipelineReader.h"
#include "agent/run/PipelineValues.h"

#include <algorithm>

namespace agent
{

namespace
{

std::vector<std::string_view> allowKeys()
{
    return {"plugins", "without_approval", "limits", "timeout", "needs"};
}

void readAllow(const DocumentValue& value, FileRules& rules)
{
    const DocumentMap map(value, allowKeys());
    if (const auto plugins = map.find("plugins"))
        rules.plugins = plugins->words();
    if (const auto types = map.find("without_approval"))
        for (const DocumentValue& item : types->list())
            if (const auto type = oneOf(item, stageTypeFrom, {"DEPLOY_STAGING", "DEPLOY_PROD"}))
            {
                if (!deploys(*type))
                    item.problem(
                        "needs no approval anyway: only DEPLOY_STAGING and DEPLOY_PROD do");
                rules.withoutApproval.push_back(*type);
            }
    if (const auto limits = map.find("limits"))
        PipelineReader::readLimits(*limits, rules.limits);
    if (const auto timeout = map.find("timeout"))
        rules.timeoutMs = duration(*timeout, 1);
    if (const auto needs = map.find("needs"))
        for (const DocumentValue& item : needs->list())
        {
            rules.needs.push_back(item.word().value_or(""));
            if (const std::string wrong = serviceNameProblem(rules.needs.back()); !wrong.empty())
                item.problem(wrong);
        }
}

} // namespace

bool readFileKeys(const DocumentMap& map, PipelineSpec& spec)
{
    const auto path = map.find("pipeline");
    const auto allow = map.find("allow");
    if (!path)
    {
        if (allow)
            allow->problem("goes with the key pipeline: it says what that file may have");
        return false;
    }
    PipelineFile& file = spec.file.emplace();
    file.path = path->word().value_or("");
    if (const auto wrong = file.path.empty() ? "" : pipelineFileProblem(file.path); !wrong.empty())
        path->problem(wrong);
    if (!map.find("repository"))
        path->problem("needs the key repository: the file stands there");
    if (const auto secrets = map.find("secrets"))
        secrets->problem(
            "each stage that a branch adds to the file would have them: a service with "
            "the key pipeline has none for all stages");
    if (allow)
        readAllow(*allow, file.allow);
    return true;
}

void checkCheckout(const DocumentMap& map, PipelineSpec& spec)
{
    if (!map.find("stages"))
    {
        spec.stages.push_back({.type = StageType::Prepare, .plugin = "git"});
        return;
    }
    const bool right = spec.stages.size() == 1 && spec.stages[0].type == StageType::Prepare &&
                       spec.stages[0].plugin == "git" &&
                       !spec.stages[0].with.contains("repository");
    if (!right)
        map.find("stages")->problem(
            "the stages are in the repository: here is at most one, of type "
            "PREPARE and plugin git, without a repository of its own");
}

void refuseServiceKeys(const DocumentMap& map)
{
    const auto own = namesOf(fileKeys);
    for (const std::string_view key : serviceKeys)
        if (std::find(own.begin(), own.end(), key) == own.end())
            if (const auto value = map.find(key))
                value->problem("is set by the service on the agent's host, not by a file of the "
                               "repository");
}

void readStoredFile(const DocumentValue& value, PipelineSpec& spec)
{
    const DocumentMap map(value, {"path", "deploys", "allow"});
    PipelineFile& file = spec.file.emplace();
    if (const auto path = map.require("path"))
        file.path = path->text().value_or("");
    if (const auto deploys = map.require("deploys"))
        file.deploys = deploys->boolean().value_or(false);
    if (const auto allow = map.require("allow"))
        readAllow(*allow, file.allow);
}

} // namespace agent
