#include "agent/api/Json.h"
#include "agent/api/LogPlace.h"
#include "agent/api/Routes.h"
#include "agent/model/Id.h"

#include <charconv>

namespace agent
{

namespace
{

Declined noStage(const std::string& id)
{
    return {Declined::Kind::NotFound, "stage_not_found", "there is no stage " + id};
}

/// `"5"` or `5`; nothing for `*` and for no header.
std::optional<std::int64_t> ifMatch(const Request& request)
{
    std::string text = request.header("if-match");
    if (text.empty() || text == "*")
        return std::nullopt;
    if (text.size() > 2 && text.front() == '"' && text.back() == '"')
        text = text.substr(1, text.size() - 2);
    std::int64_t version = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
    if (error != std::errc{} || end != text.data() + text.size())
        throw Declined(Declined::Kind::Invalid, "invalid_value",
                       "If-Match must be the ETag of the stage's detail view", "If-Match");
    return version;
}

} // namespace

std::optional<int> attemptOf(const Request& request, const Stage& stage)
{
    const auto wanted = request.parameter("attempt");
    if (!wanted)
        return std::nullopt;
    const auto value = wholeNumber(*wanted);
    if (!value || *value < 1 || *value > stage.attempt)
        throw Declined(Declined::Kind::Invalid, "invalid_value",
                       stage.attempt < 1 ? "there is no attempt yet"
                       : stage.attempt == 1
                           ? "there is only attempt 1"
                           : "attempt must be from 1 to " + std::to_string(stage.attempt),
                       "attempt");
    return static_cast<int>(*value);
}

Response listStages(const ApiParts& api, const Request& request, const std::string&)
{
    const auto given = request.parameter("runId");
    const auto runId = given ? parseId(*given) : std::nullopt;
    if (!runId)
        throw Declined(Declined::Kind::Invalid, "invalid_value",
                       given ? "runId is no UUID" : "runId is missing", "runId");
    std::uint64_t epoch = 0;
    auto bytes = api.stageLists.get(*runId, epoch);
    if (!bytes)
    {
        auto reader = api.database.reader();
        bytes = std::make_shared<const std::string>(toApiJson(RunStore(*reader).stages(*runId)));
        api.stageLists.put(*runId, bytes, epoch);
    }
    return {.cached = bytes};
}

Response showStage(const ApiParts& api, const Request& request, const std::string& id)
{
    auto reader = api.database.reader();
    RunStore runs(*reader);
    auto stage = runs.stage(id);
    if (!stage)
        throw noStage(id);
    if (const auto attempt = attemptOf(request, *stage))
        stage = runs.attempt(id, *attempt);
    if (!stage)
        throw Declined(Declined::Kind::NotFound, "attempt_not_found",
                       "how this attempt ended is not on record");
    return {.headers = {{"ETag", "\"" + std::to_string(stage->version) + "\""}},
            .body = detailJson(*stage)};
}

Response patchStage(const ApiParts& api, const Request& request, const std::string& id)
{
    StagePatch patch = stagePatchFrom(request.body);
    patch.ifVersion = ifMatch(request);
    patch.actor = request.actor;
    api.engine.patchStage(id, patch);
    return {.body = "{}"};
}

Response deleteStage(const ApiParts& api, const Request& request, const std::string& id)
{
    return {.body = toApiJson(api.engine.deleteStage(id, request.actor))};
}

Response stageProcesses(const ApiParts& api, const Request&, const std::string& id)
{
    auto reader = api.database.reader();
    const auto stage = RunStore(*reader).stage(id);
    if (!stage)
        throw noStage(id);
    return {.body = toApiJson(api.engine.processes(*stage))};
}

Response stageHistory(const ApiParts& api, const Request&, const std::string& id)
{
    auto reader = api.database.reader();
    const auto entries = History(*reader).ofStage(id);
    if (entries.empty() && !RunStore(*reader).stage(id))
        throw noStage(id);
    return {.body = toApiJson(entries)};
}

} // namespace agent
