#include "agent/run/ConditionKeys.h"

#include "agent/run/PipelineKeys.h"
#include "agent/run/PipelineValues.h"

namespace agent
{

namespace
{

void checkLength(const DocumentValue& item, const std::string& text)
{
    if (text.size() > pipelineBounds::pattern)
        item.problem("must not be longer than " + std::to_string(pipelineBounds::pattern) +
                     " bytes");
}

} // namespace

void readWhen(const DocumentValue& value, WhenSpec& when, bool stored)
{
    const DocumentMap map(value, namesOf(whenKeys));
    const auto branch = map.find("branch");
    if (branch)
        when.branches = patternsOf(*branch);
    const auto trigger = map.find("trigger");
    if (trigger)
    {
        const auto items = trigger->list();
        for (const DocumentValue& item : items)
            if (const auto type = oneOf(item, triggerTypeFrom, triggerTypeNames))
                when.triggers.push_back(*type);
        if (trigger->node().kind == DocumentNode::Kind::List && items.empty())
            trigger->problem("must hold a trigger such as MAIN; leave it out for all");
    }
    const auto run = map.find("run");
    if (run)
        when.run = oneOf(*run, runsAfterFrom, runsAfterNames).value_or(RunsAfter::Success);
    if (!branch && !trigger && !run && value.node().kind == DocumentNode::Kind::Map && !stored)
        value.problem("must hold branch, trigger or run");
}

void readApproval(const DocumentValue& value, ApprovalSpec& approval)
{
    if (value.node().kind == DocumentNode::Kind::Null)
        return;
    if (value.node().kind != DocumentNode::Kind::Map)
    {
        approval.required =
            value.node().kind == DocumentNode::Kind::String && value.text() == "required";
        if (!approval.required)
            value.expected("required, or a map such as {required: true, expires: 24h}");
        return;
    }
    const DocumentMap map(value, namesOf(approvalKeys));
    if (const auto required = map.require("required"))
        approval.required = required->boolean().value_or(false);
    if (const auto expires = map.find("expires"))
        approval.expiresMs = duration(*expires, 1);
    const auto by = map.find("by");
    if (!by)
        return;
    const auto items = by->list();
    for (const DocumentValue& item : items)
    {
        approval.by.push_back(item.word().value_or(""));
        checkLength(item, approval.by.back());
        if (approval.by.back() == "read" || approval.by.back() == "run")
            item.problem("the role '" + approval.by.back() + "' approves nothing");
    }
    if (by->node().kind == DocumentNode::Kind::List && items.empty())
        by->problem("must hold a role or a name; leave it out for whoever operates");
}

std::string togetherProblem(const StageSpec& stage)
{
    if (stage.when.run == RunsAfter::Success)
        return "";
    const std::string after = "when: {run: " + std::string(toString(stage.when.run)) + "}";
    if (stage.approval.required)
        return after + " can't be combined with approval: nobody shall have to wait for it";
    if (stage.plugin == "external")
        return after + " can't be combined with the plugin external, which is ended from outside";
    return "";
}

std::vector<std::string> patternsOf(const DocumentValue& list)
{
    std::vector<std::string> patterns;
    for (const DocumentValue& item : list.list())
    {
        patterns.push_back(item.word().value_or(""));
        checkLength(item, patterns.back());
    }
    if (list.node().kind == DocumentNode::Kind::List && patterns.empty())
        list.problem("must hold a pattern such as main or release/*");
    return patterns;
}

} // namespace agent
