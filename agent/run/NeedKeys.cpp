#include "agent/run/NeedKeys.h"

#include "agent/run/InputRules.h"
#include "agent/run/PipelineKeys.h"

#include <string>

namespace agent
{

namespace
{

/// Other tools name stages there.
constexpr const char* shape = "must be maps such as {service: lib, artifacts: dist, to: "
                              "vendor/lib}; stages need no key for it: they "
                              "run in the order in which they are listed";

using Rule = std::string (*)(std::string_view);

std::string ruled(const DocumentValue& value, Rule rule, bool stored)
{
    std::string text = value.word().value_or("");
    if (const std::string wrong = rule(text); !wrong.empty() && !text.empty() && !stored)
        value.problem(wrong);
    return text;
}

void readNeed(const DocumentValue& value, NeedSpec& need, bool stored)
{
    const DocumentMap map(value, namesOf(needKeys));
    if (const auto service = map.require("service"))
        need.service = ruled(*service, serviceNameProblem, stored);
    if (const auto branch = map.find("branch"))
        need.branch = ruled(*branch, branchProblem, stored);
    if (const auto artifacts = map.require("artifacts"))
        need.artifacts = ruled(*artifacts, artifactNameProblem, stored);
    if (const auto to = map.require("to"))
        need.to = ruled(*to, needPathProblem, stored);
    if (const auto optional = map.find("optional"))
        need.optional = optional->boolean().value_or(false);
}

} // namespace

void readNeeds(const DocumentValue& value, std::vector<NeedSpec>& needs, bool stored)
{
    if (value.node().kind != DocumentNode::Kind::List)
        return value.problem(shape);
    const auto items = value.list();
    if (!stored && (items.empty() || items.size() > needBounds::needs))
        value.problem("must hold 1 to " + std::to_string(needBounds::needs) + ", holds " +
                      std::to_string(items.size()));
    for (const DocumentValue& item : items)
    {
        if (item.node().kind != DocumentNode::Kind::Map)
        {
            item.problem(shape);
            continue;
        }
        NeedSpec need;
        readNeed(item, need, stored);
        for (std::size_t i = 0; i < needs.size() && !stored && !need.to.empty(); ++i)
            if (!needs[i].to.empty() && overlap(needs[i].to, need.to))
                item.problem("to is the same folder as that of [" + std::to_string(i) +
                             "], or one is in the other: each is replaced as a whole");
        needs.push_back(std::move(need));
    }
}

} // namespace agent
