#include "agent/ctl/Commands.h"
#include "agent/ctl/Follow.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/LogFilter.h"
#include "agent/ctl/LogTail.h"
#include "agent/ctl/Lookup.h"
#include "agent/ctl/Text.h"

#include <Poco/String.h>

#include <algorithm>

namespace agent::ctl
{

namespace
{

constexpr std::size_t page = 1000; // the API's maximum

/// Prints all lines of the log as one JSON array, page by page, in the API's JSON.
void printJsonLines(const Client& client, const std::string& stage)
{
    std::string after;
    bool first = true;
    while (true)
    {
        const Answer answer =
            client.ask({.path = "/api/logs?stageId=" + stage + "&limit=" + std::to_string(page) +
                                (after.empty() ? "" : "&after=" + encoded(after))});
        const auto lines = listOf(answer);
        if (after.empty()) // not earlier: an error must not leave half a document
            writeOut("[");
        if (!lines.Empty())
        {
            const std::size_t open = answer.body.find('[');
            const std::size_t close = answer.body.rfind(']');
            writeOut(first ? "" : ",");
            writeOut(std::string_view(answer.body).substr(open + 1, close - open - 1));
            first = false;
        }
        const std::string next = lines.Empty() ? "" : text(lines[lines.Size() - 1], "id");
        if (lines.Size() < page || next.empty() || next == after)
            break;
        after = next;
    }
    writeOut("]\n");
}

struct StageState
{
    std::int64_t attempt = 0;
    bool running = false;
    bool ended = false;
};

/// Returns the state of the stage; one that can no longer start counts as ended.
StageState stateOf(const Client& client, const std::string& id)
{
    const auto stage = objectOf(client.ask({.path = "/api/stages/" + id}));
    const std::string status = text(stage, "status");
    StageState state{.attempt = number(stage, "attempt").value_or(0),
                     .running = status == "IN_PROGRESS",
                     .ended = status == "SUCCESS" || status == "FAILURE"};
    if (status == "IDLE")
    {
        const auto run =
            objectOf(client.ask({.path = "/api/runs/" + encoded(text(stage, "runId"))}));
        state.ended = !text(run, "endedAt").empty() || !text(stage, "skipped").empty();
    }
    return state;
}

/// Prints log bytes unchanged, or made safe for a terminal. What was drawn over is shown as it was seen last; who
/// follows sees it at once: drawn over on a terminal, in lines of its own in a pipe.
class LogOutput
{
public:
    LogOutput(const LogsQuery& query, const Terminal& terminal)
        : _raw(query.raw), _follow(query.follow), _return(terminal.interactive ? "\r\x1b[K" : "\n")
    {
    }

    void write(std::string_view bytes)
    {
        writeOut(_raw ? std::string(bytes) : shown(_filter.filter(bytes)));
    }
    void finish() { writeOut(shown(_filter.finish()) + _fold.finish()); }

private:
    std::string shown(const std::string& text)
    {
        return _follow ? Poco::replace(text, std::string("\r"), _return) : _fold.add(text);
    }

    bool _raw;
    bool _follow;
    std::string _return;
    LogFilter _filter{LogFilter::Colours::Keep, LogFilter::Returns::Keep};
    LineFold _fold;
};

/// Follows the attempts in order, including those that ended while the agent was unavailable.
void followLog(const Client& client, const LogsQuery& query, LogChoice choice, LogOutput& output)
{
    const auto sink = [&](std::string_view bytes) { output.write(bytes); };
    OutageTolerance tolerance;
    std::optional<LogTail> tail;
    std::optional<std::int64_t> lastLines = query.tail;
    enum class Next
    {
        Poll,
        Follow,
        Wait,
        End
    };
    const auto poll = [&]
    {
        // The stage is read first: if the attempt has ended, the log read after it is complete.
        const StageState now = stateOf(client, choice.stageId);
        if (!tail && now.attempt >= 1)
        {
            choice.attempt = query.attempt.value_or(now.attempt);
            tail.emplace(client, choice);
        }
        if (!tail)
            return now.ended ? Next::End : Next::Wait;
        if (lastLines)
            tail->readLast(static_cast<std::size_t>(*lastLines), sink);
        lastLines.reset();
        if (now.running && now.attempt == choice.attempt)
            return Next::Follow;
        tail->readRest(sink);
        if (now.attempt > choice.attempt && !query.attempt)
        {
            choice.since.reset();
            ++*choice.attempt;
            tail.emplace(client, choice);
            output.finish();
            note("attempt " + std::to_string(*choice.attempt));
            return Next::Poll;
        }
        return now.ended || now.attempt > choice.attempt ? Next::End : Next::Wait;
    };
    for (bool lost = false;;)
    {
        Next next = Next::Wait;
        tolerance.attempt([&] { next = poll(); }, note);
        if (next == Next::End)
            return;
        if (next == Next::Wait || (next == Next::Follow && lost))
            waitForNextPoll();
        lost = next == Next::Follow && !tail->follow(sink);
    }
}

} // namespace

std::optional<TimeMs> sinceFrom(const std::string& text)
{
    if (text.empty())
        return std::nullopt;
    if (const auto time = parseTime(text, Zone::Any))
        return time;
    if (const auto ago = parseDurationMs(text))
        return nowMs() - *ago;
    throw Failure(Exit::Usage, "--since takes an age, such as 10m or 2h, or a time, such as "
                               "2026-03-20T17:17:13.760Z or 2026-03-20T19:17:13+02:00, not '" +
                                   visible(text) + "'");
}

Exit showLogs(const Session& session, const LogsQuery& query)
{
    const auto since = sinceFrom(query.since);
    if (session.json &&
        (query.follow || query.raw || query.timestamps || query.tail || query.attempt || since))
        throw Failure(Exit::Usage,
                      "logs --json prints all lines of the newest attempt and can't be combined "
                      "with -f, --raw, --timestamps, --tail, --since or --attempt");
    if (session.yaml)
        throw Failure(Exit::Usage, "logs prints a log, or with --json its lines as JSON");
    const Target stage = findStage(session.agents, query.stage, Use::Read);
    const Client& client = *stage.client;
    if (session.json)
    {
        printJsonLines(client, stage.id);
        return Exit::Ok;
    }
    LogOutput output(query, session.terminal);
    const LogChoice choice{.stageId = stage.id,
                           .attempt = query.attempt,
                           .timestamps = query.timestamps,
                           .since = since};
    if (query.follow)
    {
        exitOnInterrupt(session.terminal.interactive && !query.raw ? "\x1b[0m\n" : "", "");
        followLog(client, query,
                  {.stageId = stage.id, .timestamps = query.timestamps, .since = since}, output);
    }
    else
    {
        static_cast<void>(client.ask({.path = "/api/stages/" + stage.id})); // 404 if unknown
        const auto sink = [&](std::string_view bytes) { output.write(bytes); };
        LogTail tail(client, choice);
        if (query.tail)
            tail.readLast(static_cast<std::size_t>(*query.tail), sink);
        else
            tail.read(sink);
    }
    output.finish();
    return Exit::Ok;
}

} // namespace agent::ctl
