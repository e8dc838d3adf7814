#include "agent/api/Routes.h"
#include "agent/api/Transport.h"
#include "agent/model/Id.h"
#include "agent/store/History.h"
#include "agent/store/RunStore.h"

#include <algorithm>

namespace agent
{

namespace
{

Declined invalid(const std::string& field, const std::string& message)
{
    return {Declined::Kind::Invalid, "invalid_value", message, field};
}

/// Returns an empty text when the parameter is absent.
std::string idParameter(const Request& request, const std::string& name)
{
    const auto given = request.parameter(name);
    if (!given)
        return "";
    const auto id = parseId(*given);
    if (!id)
        throw invalid(name, name + " is no UUID");
    return *id;
}

} // namespace

Refusal tooManyFollowers()
{
    return {.status = 503,
            .code = "too_many_followers",
            .message = "too many clients follow logs and events",
            .field = "",
            .headers = {{"Retry-After", "5"}}};
}

Response events(const ApiParts& api, const Request& request, const std::string&)
{
    EventFollower::Wish wish{.runId = idParameter(request, "runId"),
                             .stageId = idParameter(request, "stageId"),
                             .caller = request.caller};
    if (request.caller.narrowed() && !wish.stageId.empty())
        needVisibleStage(api, request, wish.stageId);
    if (request.caller.narrowed() && !wish.runId.empty())
        needVisibleRun(api, request, wish.runId);
    int attempts = 0;
    {
        auto reader = api.database.reader();
        RunStore store(*reader);
        wish.since = History(*reader).lastSeq();
        const auto stage = wish.stageId.empty() ? std::nullopt : store.stage(wish.stageId);
        if (!wish.stageId.empty() && !stage)
            throw Declined(Declined::Kind::NotFound, "stage_not_found",
                           "there is no stage " + wish.stageId);
        if (stage && !wish.runId.empty() && wish.runId != stage->runId)
            throw invalid("stageId", "the stage is none of this run");
        if (stage)
        {
            wish.runId = stage->runId;
            attempts = std::max(1, stage->attempt);
        }
        else if (!wish.runId.empty() && !store.run(wish.runId))
            throw Declined(Declined::Kind::NotFound, "run_not_found",
                           "there is no run " + wish.runId);
    }
    const std::string logs = request.parameter("logs").value_or(wish.runId.empty() ? "0" : "1");
    if (logs != "0" && logs != "1")
        throw invalid("logs", "logs must be 0 or 1");
    wish.logs = logs == "1";
    if (wish.logs && wish.runId.empty())
        throw invalid("logs", "log lines come of one run or stage only: give runId or stageId");
    if (const auto after = request.parameter("after"))
    {
        wish.linesAfter = logPlaceFrom(*after);
        if (!wish.linesAfter || wish.linesAfter->attempt > attempts)
            throw invalid("after",
                          "after must be the id of a log line of the stage that stageId names");
    }
    // An id that is none of ours is as good as none, but the client is told of the gap.
    std::string last = request.header("last-event-id");
    if (last.empty())
        last = request.parameter("lastEventId").value_or("");
    wish.resumes = !last.empty();
    wish.after = eventPlaceFrom(last);

    const auto room = api.followers.room();
    if (!room)
        throw tooManyFollowers();
    Response response{.contentType = "text/event-stream"};
    response.headers["Cache-Control"] = "no-store";
    response.headers["X-Accel-Buffering"] = "no"; // nginx would keep events back
    response.takeOver = [&followers = api.followers, wish,
                         room](std::unique_ptr<Transport> transport) {
        followers.add(std::move(transport), wish, {room, wish.caller.grant});
    };
    return response;
}

} // namespace agent
