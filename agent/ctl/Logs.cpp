#include "agent/ctl/Commands.h"
#include "agent/ctl/Follow.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/LogFilter.h"
#include "agent/ctl/LogTail.h"
#include "agent/ctl/Lookup.h"

#include <algorithm>

namespace agent::ctl
{

namespace
{

constexpr std::size_t page = 1000; // the largest the API gives

/// All lines of the log as one JSON array, page after page as the API wrote them.
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
        if (after.empty()) // not before: a refusal prints no half document
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

struct Standing
{
    std::int64_t attempt = 0;
    bool ended = false;
};

/// Where the stage stands; one that can't start any more counts as ended.
Standing standingOf(const Client& client, const std::string& id)
{
    const auto stage = objectOf(client.ask({.path = "/api/stages/" + id}));
    const std::string status = text(stage, "status");
    Standing standing{.attempt = number(stage, "attempt").value_or(0),
                      .ended = status == "SUCCESS" || status == "FAILURE"};
    if (status == "IDLE")
    {
        const auto run =
            objectOf(client.ask({.path = "/api/runs/" + encoded(text(stage, "runId"))}));
        const std::string ofRun = text(run, "status");
        standing.ended = ofRun == "SUCCESS" || ofRun == "FAILURE";
    }
    return standing;
}

/// Prints log bytes as the person wants them: as they are, or safe for a terminal.
class LogOutput
{
public:
    explicit LogOutput(bool raw) : _raw(raw) {}

    void write(std::string_view bytes)
    {
        if (_raw)
            writeOut(bytes);
        else
            writeOut(_filter.filter(bytes));
    }
    void finish() { writeOut(_filter.finish()); }

private:
    bool _raw;
    LogFilter _filter{LogFilter::Colours::Keep};
};

void followLog(const Client& client, const LogsQuery& query, const std::string& id,
               LogOutput& output)
{
    const auto sink = [&](std::string_view bytes) { output.write(bytes); };
    const auto choice = [&](std::int64_t attempt)
    { return LogChoice{.stageId = id, .attempt = attempt, .timestamps = query.timestamps}; };
    Patience patience;
    std::int64_t attempt = query.attempt.value_or(standingOf(client, id).attempt);
    LogTail tail(client, choice(std::max<std::int64_t>(attempt, 1)));
    std::optional<std::int64_t> lastLines = query.tail;

    bool ended = false;
    while (!ended)
    {
        const bool seen = patience.attempt(
            [&]
            {
                // The stage first: when it has ended, the log read after it is whole.
                const Standing now = standingOf(client, id);
                if (now.attempt < 1 && !query.attempt)
                {
                    ended = now.ended; // no attempt, no log yet
                    return;
                }
                if (lastLines)
                    tail.readLast(static_cast<std::size_t>(*lastLines), sink);
                else
                    tail.read(sink);
                lastLines.reset();
                const bool newAttempt = now.attempt > std::max<std::int64_t>(attempt, 1);
                ended =
                    query.attempt ? now.ended || now.attempt > attempt : now.ended && !newAttempt;
                if (newAttempt && !query.attempt)
                {
                    note("attempt " + std::to_string(now.attempt));
                    tail.restart(choice(now.attempt));
                }
                attempt = query.attempt ? attempt : now.attempt;
            },
            [](const std::string& line) { note(line); });
        if (!ended || !seen)
            pauseBetweenLooks();
    }
}

} // namespace

Exit showLogs(const Session& session, const LogsQuery& query)
{
    if (session.json &&
        (query.follow || query.raw || query.timestamps || query.tail || query.attempt))
        throw Failure(Exit::Usage,
                      "logs --json gives all lines of the newest attempt: it goes with "
                      "none of -f, --raw, --timestamps, --tail, --attempt");
    const std::string id = findStage(session.client, query.stage);
    if (session.json)
    {
        printJsonLines(session.client, id);
        return Exit::Ok;
    }
    LogOutput output(query.raw);
    if (query.follow)
        followLog(session.client, query, id, output);
    else
    {
        static_cast<void>(session.client.ask({.path = "/api/stages/" + id})); // unknown: 404
        const auto sink = [&](std::string_view bytes) { output.write(bytes); };
        LogTail tail(session.client,
                     {.stageId = id, .attempt = query.attempt, .timestamps = query.timestamps});
        if (query.tail)
            tail.readLast(static_cast<std::size_t>(*query.tail), sink);
        else
            tail.read(sink);
    }
    output.finish();
    return Exit::Ok;
}

} // namespace agent::ctl
