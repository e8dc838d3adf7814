#include "agent/run/ArtifactKeys.h"

#include "agent/run/InputRules.h"
#include "agent/run/PipelineKeys.h"
#include "agent/run/PipelineValues.h"

namespace agent
{

namespace
{

/// Patterns of files; `least` of them.
std::vector<std::string> filePatternsOf(const DocumentValue& list, std::size_t least, bool stored)
{
    std::vector<std::string> patterns;
    for (const DocumentValue& item : list.list())
    {
        patterns.push_back(item.text().value_or(""));
        if (stored || item.node().kind == DocumentNode::Kind::Null)
            continue;
        if (const std::string wrong = artifactProblem(patterns.back()); !wrong.empty())
            item.problem(wrong);
    }
    if (stored || list.node().kind != DocumentNode::Kind::List)
        return patterns;
    if (patterns.size() < least)
        list.problem("must hold a pattern such as dist/**");
    if (patterns.size() > pipelineBounds::filePatterns)
        list.problem("must not hold more than " + std::to_string(pipelineBounds::filePatterns) +
                     " patterns, and holds " + std::to_string(patterns.size()));
    return patterns;
}

} // namespace

void readArtifacts(const DocumentValue& value, ArtifactSpec& artifacts, bool stored)
{
    if (value.node().kind == DocumentNode::Kind::List)
    {
        artifacts.paths = filePatternsOf(value, 0, stored);
        return;
    }
    if (value.node().kind == DocumentNode::Kind::Null)
        return;
    if (value.node().kind != DocumentNode::Kind::Map)
        return value.expected("a list of patterns such as [dist/**], or a map such as "
                              "{paths: [dist/**], keep: 7d}");
    const DocumentMap map(value, namesOf(artifactKeys));
    if (const auto paths = map.require("paths"))
        artifacts.paths = filePatternsOf(*paths, 1, stored);
    if (const auto name = map.find("name"))
    {
        artifacts.name = name->word().value_or("");
        if (const std::string wrong = artifactNameProblem(artifacts.name);
            !wrong.empty() && !artifacts.name.empty() && !stored)
            name->problem(wrong);
    }
    if (const auto keep = map.find("keep"))
        artifacts.keepMs = duration(*keep, 0);
    if (const auto when = map.find("when"))
        artifacts.when = oneOf(*when, runsAfterFrom, runsAfterNames).value_or(RunsAfter::Success);
    if (const auto required = map.find("required"))
        artifacts.required = required->boolean().value_or(false);
}

void readReports(const DocumentValue& value, ReportSpec& reports, bool stored)
{
    const DocumentMap map(value, namesOf(reportKeys));
    if (const auto junit = map.require("junit"))
        reports.junit = filePatternsOf(*junit, 1, stored);
}

} // namespace agent
