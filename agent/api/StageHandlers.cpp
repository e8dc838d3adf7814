#include "agent/api/Json.h"
#include "agent/api/JsonArray.h"
#include "agent/api/LogPlace.h"
#include "agent/api/Routes.h"
#include "agent/model/Id.h"
#include "agent/run/DeleteRun.h"
#include "agent/run/PatchStage.h"
#include "agent/run/RunWorkspace.h"
#include "agent/run/UnkillableStage.h"
#include "agent/store/LogReader.h"
#include "agent/store/TakenSets.h"

#include <algorithm>

namespace agent
{

namespace
{

Declined noStage(const std::string& id)
{
    return {Declined::Kind::NotFound, "stage_not_found", "there is no stage " + id};
}

/// Returns the stage with how much it has printed so far; the record has it only at the end.
Stage withLog(const ApiParts& api, Stage stage)
{
    if (stage.status != Status::InProgress)
        return stage;
    const auto log = LogReader::open(api.state.attempt(stage, stage.attempt));
    stage.logBytes = log ? static_cast<std::int64_t>(log->size()) : 0;
    return stage;
}

bool seesRun(const ApiParts& api, const Request& request, const std::string& runId)
{
    auto reader = api.database.reader();
    const auto run = RunStore(*reader).run(runId);
    return run && request.caller.sees(*run);
}

Declined noTag()
{
    return {Declined::Kind::Invalid, "invalid_value",
            "If-Match must be the ETag of the stage's detail view, such as \"5\"", "If-Match"};
}

/// The versions that If-Match names: of one tag or of a list, and of a number without its quotes, which
/// people forget. Nothing for `*` and for no header. Other tags than ours, weak ones too, are of no
/// version. Source: RFC 9110, 13.1.1.
std::optional<Versions> ifMatch(const Request& request)
{
    const std::string text = request.header("if-match");
    if (text == "*" || !request.headers.contains("if-match"))
        return std::nullopt;
    if (const auto bare = wholeNumber(text))
        return Versions{*bare};
    Versions versions;
    std::string_view rest = text;
    do
    {
        const bool weak = rest.starts_with("W/");
        rest.remove_prefix(weak ? 2 : 0);
        const auto close = rest.starts_with('"') ? rest.find('"', 1) : std::string_view::npos;
        if (close == std::string_view::npos)
            throw noTag();
        const auto tag = rest.substr(1, close - 1);
        const auto version = wholeNumber(tag);
        if (version && !weak && std::to_string(*version) == tag)
            versions.push_back(*version);
        rest.remove_prefix(close + 1);
        const auto next = rest.find_first_not_of(" \t");
        if (next != std::string_view::npos && rest[next] != ',')
            throw noTag();
        rest.remove_prefix(std::min(rest.find_first_not_of(" \t,"), rest.size()));
    } while (!rest.empty());
    return versions;
}

} // namespace

bool detailed(const Request& request)
{
    const auto view = request.parameter("view");
    if (view && *view != "detail")
        throw Declined(Declined::Kind::Invalid, "invalid_value", "view can only be detail", "view");
    return view.has_value();
}

void needVisibleStage(const ApiParts& api, const Request& request, const std::string& stageId)
{
    auto reader = api.database.reader();
    RunStore runs(*reader);
    const auto stage = runs.stage(stageId);
    const auto run = stage ? runs.run(stage->runId) : std::nullopt;
    if (!run || !request.caller.sees(*run))
        throw noStage(stageId);
}

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

std::optional<Response> readyStages(const ApiParts& api, const Request& request)
{
    // Anything else than the plain list is not in memory, or is refused.
    const bool plain = request.query.size() == 1 && request.query.front().first == "runId";
    const auto runId = plain ? parseId(request.query.front().second) : std::nullopt;
    if (!runId)
        return std::nullopt;
    std::uint64_t epoch = 0;
    auto bytes = api.stageLists.get(*runId, epoch);
    if (!bytes)
        return std::nullopt;
    return Response{.cached = std::move(bytes)};
}

Response listStages(const ApiParts& api, const Request& request, const std::string&)
{
    const auto given = request.parameter("runId");
    const auto runId = given ? parseId(*given) : std::nullopt;
    if (!runId)
        throw Declined(Declined::Kind::Invalid, "invalid_value",
                       given ? "runId is no UUID" : "runId is missing", "runId");
    if (request.caller.narrowed() && !seesRun(api, request, *runId))
        return {.body = "[]"}; // as of a run that there is not
    if (detailed(request))
    {
        auto reader = api.database.reader();
        auto needs = TakenSets(*reader).ofRun(*runId);
        return arrayOf(elementsOf<Stage>(
            RunStore(*reader).stages(*runId),
            [&api, needs = std::move(needs)](const Stage& stage)
            {
                std::vector<TakenSet> own;
                std::copy_if(needs.begin(), needs.end(), std::back_inserter(own),
                             [&](const TakenSet& set)
                             { return set.stageId == stage.id && set.attempt == stage.attempt; });
                return detailJson(withLog(api, stage), own);
            }));
    }
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
    const auto run = runs.run(stage->runId);
    const auto definition =
        run ? definitionOf(workspaceOf(*reader, api.state, run->id), *run, *stage, api.stages)
            : std::nullopt;
    return {.headers = {{"ETag", "\"" + std::to_string(stage->version) + "\""}},
            .body =
                detailJson(withLog(api, *stage),
                           TakenSets(*reader).ofAttempt(stage->id, stage->attempt), definition)};
}

Response patchStage(const ApiParts& api, const Request& request, const std::string& id)
{
    StagePatch patch = stagePatchFrom(request.body);
    patch.ifVersion = ifMatch(request);
    patch.actor = request.actor;
    patch.role = request.caller.role.value_or(Role::Read);
    commands::patchStage(api.engine, id, patch);
    return {.body = "{}"};
}

Response deleteStage(const ApiParts& api, const Request& request, const std::string& id)
{
    const Actor actor{.name = request.actor, .role = request.caller.role.value_or(Role::Read)};
    return {.body = toApiJson(commands::deleteStage(api.engine, id, ifMatch(request), actor))};
}

Response stageProcesses(const ApiParts& api, const Request&, const std::string& id)
{
    auto reader = api.database.reader();
    const auto stage = RunStore(*reader).stage(id);
    if (!stage)
        throw noStage(id);
    const auto run = RunStore(*reader).run(stage->runId);
    if (!run)
        throw noStage(id);
    return arrayOf(
        elementsOf<ProcessDetail>(shownProcesses(api.state, *run, *stage, api.stages.secrets),
                                  [](const ProcessDetail& each) { return toApiJson(each); }));
}

JsonElements historyElements(Database& database, HistoryPart part)
{
    // 16 reasons of 4 KiB; quotes and backslashes double them.
    constexpr int batch = 16;
    return elementsOf<HistoryEntry>(
        [&database, part = std::move(part)](const HistoryEntry* last)
        {
            auto reader = database.reader();
            return part(History(*reader), last ? last->seq : 0, batch);
        },
        [](const HistoryEntry& entry) { return toApiJson(entry); });
}

Response stageHistory(const ApiParts& api, const Request&, const std::string& id)
{
    {
        auto reader = api.database.reader();
        if (History(*reader).ofStage(id, 0, 1).empty() && !RunStore(*reader).stage(id))
            throw noStage(id);
    }
    return arrayOf(historyElements(api.database,
                                   [id](History history, std::int64_t after, int limit)
                                   { return history.ofStage(id, after, limit); }));
}

} // namespace agent
