#include "agent/api/ByteRange.h"
#include "agent/api/LogPlace.h"
#include "agent/api/Routes.h"
#include "agent/api/Transport.h"
#include "agent/model/Id.h"
#include "agent/store/LogReader.h"
#include "agent/store/TimestampedLog.h"

#include <algorithm>

namespace agent
{

namespace
{

Declined invalid(const std::string& field, const std::string& message)
{
    return {Declined::Kind::Invalid, "invalid_value", message, field};
}

bool flag(const Request& request, const std::string& name)
{
    const std::string value = request.parameter(name).value_or("0");
    if (value != "0" && value != "1")
        throw invalid(name, name + " must be 0 or 1");
    return value == "1";
}

Response textAnswer()
{
    Response response{.contentType = "text/plain; charset=utf-8"};
    response.headers["X-Content-Type-Options"] = "nosniff";
    return response;
}

std::shared_ptr<Response::Pages> stamped(LogReader log, const ByteRange& range)
{
    struct Source
    {
        LogReader log;
        TimestampedLog text;

        Source(LogReader opened, const ByteRange& part)
            : log(std::move(opened)),
              text(log, static_cast<std::uint64_t>(part.first),
                   static_cast<std::uint64_t>(part.last + 1))
        {
        }
    };
    const auto source = std::make_shared<Source>(std::move(log), range);
    static constexpr std::size_t enoughBytes = 40'960; // and no page comes to more than 256 KiB
    return std::make_shared<Response::Pages>(Response::Pages{.next = [source](std::string& out)
                                                             {
                                                                 while (out.size() < enoughBytes)
                                                                     if (!source->text.next(out))
                                                                         return false;
                                                                 return true;
                                                             }});
}

std::shared_ptr<Response::Pages> plain(LogReader opened, const ByteRange& range)
{
    static constexpr std::int64_t pieceBytes = 262'144;
    const auto log = std::make_shared<LogReader>(std::move(opened));
    const auto next = [log, at = range.first, end = range.last + 1](std::string& out) mutable
    {
        out.resize(static_cast<std::size_t>(std::min(pieceBytes, end - at)));
        out.resize(log->read(static_cast<std::uint64_t>(at), out.data(), out.size()));
        at += static_cast<std::int64_t>(out.size());
        return !out.empty() && at < end;
    };
    return std::make_shared<Response::Pages>(
        Response::Pages{.next = next, .length = range.last - range.first + 1});
}

/// Where the first line begins that was written at `time` or later.
std::int64_t lineSince(LogReader& log, TimeMs time)
{
    const std::uint64_t chunk = log.since(time);
    if (chunk >= log.size())
        return static_cast<std::int64_t>(log.size());
    const std::uint64_t line = log.chunkOf(chunk).line + 1;
    const bool begins = log.lineStart(line) == chunk;
    return static_cast<std::int64_t>(begins ? chunk : log.lineStart(line + 1).value_or(log.size()));
}

std::optional<TimeMs> sinceOf(const Request& request)
{
    const auto given = request.parameter("since");
    if (!given)
        return std::nullopt;
    const auto time = parseTime(*given, Zone::Any);
    if (!time)
        throw invalid("since", "since must be a time such as 2026-03-20T17:17:13.760Z");
    if (!request.header("range").empty())
        throw invalid("since", "since and a Range can't be combined");
    return time;
}

Response followLog(const ApiParts& api, const Request& request, const Stage& stage,
                   std::optional<int> attempt, bool timestamps)
{
    const auto since = sinceOf(request);
    TextFollower::Wish wish{.runId = stage.runId,
                            .stageId = stage.id,
                            .attempt = attempt.value_or(std::max(1, stage.attempt)),
                            .onlyThat = attempt.has_value(),
                            .timestamps = timestamps};
    Response response = textAnswer();
    auto log = LogReader::open(api.state.attempt(stage, wish.attempt));
    const auto size = log ? static_cast<std::int64_t>(log->size()) : 0;
    // A follower may come back to the end of what it has.
    const std::string header = request.header("range");
    if (!header.starts_with("bytes=-") && !header.empty() && !header.ends_with('-'))
        throw invalid("Range", "a Range with an end and follow can't be combined");
    const auto range = header == "bytes=" + std::to_string(size) + "-"
                           ? std::optional(ByteRange{.first = size, .last = size})
                           : rangeOf(header, size, "the log");
    if (range)
    {
        wish.from = static_cast<std::uint64_t>(range->first);
        response.status = 206;
        response.headers["Content-Range"] = contentRange(*range, std::nullopt);
    }
    if (since)
    {
        const std::int64_t first = log ? lineSince(*log, *since) : 0;
        wish.from = static_cast<std::uint64_t>(first);
        response.headers["Log-Offset"] = std::to_string(first);
    }
    response.headers["Cache-Control"] = "no-store";
    response.headers["X-Accel-Buffering"] = "no"; // nginx would keep lines back until it has 4 KiB
    const auto room = api.followers.room();
    if (!room)
        throw tooManyFollowers();
    response.takeOver = [&followers = api.followers, wish, room,
                         grant = request.caller.grant](std::unique_ptr<Transport> transport) {
        followers.add(std::move(transport), wish, {room, grant});
    };
    return response;
}

} // namespace

LogReader::Extent extentOf(const Stage& stage, int attempt)
{
    return attemptOver(stage, attempt) ? LogReader::Extent::All : LogReader::Extent::Indexed;
}

Stage needStage(const ApiParts& api, const std::string& id)
{
    auto reader = api.database.reader();
    auto stage = RunStore(*reader).stage(id);
    if (!stage)
        throw Declined(Declined::Kind::NotFound, "stage_not_found", "there is no stage " + id);
    return *stage;
}

Response stageLog(const ApiParts& api, const Request& request, const std::string& id)
{
    const Stage stage = needStage(api, id);
    const auto attempt = attemptOf(request, stage);
    const bool timestamps = flag(request, "timestamps");
    if (flag(request, "follow"))
        return followLog(api, request, stage, attempt, timestamps);

    const auto since = sinceOf(request);
    Response response = textAnswer();
    response.headers["Accept-Ranges"] = "bytes";
    const int shown = attempt.value_or(stage.attempt);
    auto log = LogReader::open(api.state.attempt(stage, shown),
                               timestamps ? extentOf(stage, shown) : LogReader::Extent::All);
    if (!log)
        return response; // not started, or an external stage: nothing was said
    const auto size = static_cast<std::int64_t>(log->size());
    ByteRange part{.first = 0, .last = size - 1};
    if (const auto range = rangeOf(request.header("range"), size, "the log"))
    {
        part = *range;
        response.status = 206;
        response.headers["Content-Range"] = contentRange(part, size);
    }
    if (since)
    {
        part.first = lineSince(*log, *since);
        response.headers["Log-Offset"] = std::to_string(part.first);
        if (part.first == size)
            return response;
    }
    if (timestamps)
        response.pages = stamped(std::move(*log), part);
    else if (log->descriptor() < 0)
        response.pages = plain(std::move(*log), part);
    else
        response.file = {ownedCopy(log->descriptor()), part.first, part.last - part.first + 1};
    return response;
}

} // namespace agent
