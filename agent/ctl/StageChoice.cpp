#include "agent/ctl/StageChoice.h"

#include "agent/ctl/Failure.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Text.h"
#include "agent/model/Id.h"

#include <Poco/String.h>

#include <functional>
#include <vector>

namespace agent::ctl
{

namespace
{

using Stages = rapidjson::Document;
using Fits = std::function<bool(const rapidjson::Value&)>;

/// Returns `1 Unit tests (UNIT_TEST)`, as the error messages list them.
std::string shown(const rapidjson::Value& stage)
{
    const std::string name = text(stage, "name");
    const std::string type = text(stage, "type");
    return text(stage, "ordinal") + " " + visible(name) +
           (name == type ? "" : " (" + visible(type) + ")") + "  " + visible(text(stage, "status"));
}

std::string list(const std::vector<const rapidjson::Value*>& stages)
{
    std::string lines;
    for (const rapidjson::Value* stage : stages)
        lines += "\n" + shown(*stage);
    return lines;
}

std::vector<const rapidjson::Value*> fitting(const Stages& stages, const Fits& fits)
{
    std::vector<const rapidjson::Value*> found;
    for (const rapidjson::Value& stage : stages.GetArray())
        if (fits(stage))
            found.push_back(&stage);
    return found;
}

std::string checkedId(const rapidjson::Value& stage)
{
    const auto id = parseId(text(stage, "id"));
    if (!id)
        throw Failure(Exit::AgentFailed, "the agent's answer names no stage");
    return *id;
}

std::string named(const Stages& stages, const std::string& runId, const std::string& part)
{
    const std::string type = Poco::translate(Poco::toUpper(part), "-", "_");
    const std::vector<Fits> ways{
        [&](const rapidjson::Value& stage) { return text(stage, "name") == part; },
        [&](const rapidjson::Value& stage) { return text(stage, "type") == type; },
        [&](const rapidjson::Value& stage)
        { return Poco::icompare(text(stage, "name"), part) == 0; },
        [&](const rapidjson::Value& stage) { return text(stage, "ordinal") == part; }};
    for (const Fits& way : ways)
    {
        const auto found = fitting(stages, way);
        if (found.size() > 1)
            throw Failure(Exit::Usage, "'" + visible(part) + "' fits " +
                                           std::to_string(found.size()) + " stages of run " +
                                           runId + ": give the number of one:" + list(found));
        if (!found.empty())
            return checkedId(*found.front());
    }
    throw Failure(Exit::NotFound, "run " + runId + " has no stage '" + visible(part) + "':" +
                                      list(fitting(stages, [](const auto&) { return true; })));
}

std::string chosen(const Stages& stages, const std::string& runId, Choose choose)
{
    const std::vector<const char*> order =
        choose == Choose::ToRead
            ? std::vector<const char*>{"FAILURE", "IN_PROGRESS", "AWAITING_APPROVAL"}
            : std::vector<const char*>{"IN_PROGRESS", "FAILURE", "AWAITING_APPROVAL"};
    for (const char* status : order)
        if (const auto found = fitting(stages, [&](const rapidjson::Value& stage)
                                       { return text(stage, "status") == status; });
            !found.empty())
            return checkedId(*found.front());
    const auto ran = fitting(stages, [](const rapidjson::Value& stage)
                             { return number(stage, "attempt").value_or(0) > 0; });
    if (choose == Choose::ToChange || ran.empty())
        throw Failure(
            choose == Choose::ToChange ? Exit::Conflict : Exit::NotFound,
            "no stage of run " + runId +
                (choose == Choose::ToChange ? " runs, failed or waits for approval" : " has run") +
                ": name one, as in " + runId.substr(0, 8) +
                "/BUILD:" + list(fitting(stages, [](const auto&) { return true; })));
    return checkedId(*ran.back());
}

} // namespace

std::string stageOf(const Client& client, const std::string& runId, const std::string& part,
                    Choose choose)
{
    const auto stages = listOf(client.ask({.path = "/api/stages?view=detail&runId=" + runId}));
    if (stages.Empty()) // of an unknown run too
        static_cast<void>(client.ask({.path = "/api/runs/" + runId}));
    return part.empty() ? chosen(stages, runId, choose) : named(stages, runId, part);
}

} // namespace agent::ctl
