#include "agent/api/OutgoingCommits.h"

#include "agent/api/JsonMembers.h"
#include "agent/run/OrderBuilder.h"
#include "agent/run/RecentCommits.h"
#include "agent/store/RunStore.h"

#include <sstream>

namespace agent
{

namespace
{

std::string firstLine(const std::string& text)
{
    return text.substr(0, text.find('\n'));
}

/// What the run's last git stage told; empty where none did.
std::string toldBy(const std::vector<Stage>& stages)
{
    std::string told;
    for (const Stage& stage : stages)
        if (stage.plugin == "git")
        {
            const auto outputs = outputsFromJson(stage.outputs);
            if (const auto found = outputs.find(recentCommits); found != outputs.end())
                told = found->second;
        }
    return told;
}

} // namespace

OutgoingCommits outgoingCommits(RecordSession& connection, const Run& run)
{
    OutgoingCommits outgoing;
    const auto stages = RunStore(connection).stages(run.id);
    for (const Stage& stage : stages)
        if (stage.status == Status::AwaitingApproval)
        {
            outgoing.stageId = stage.id;
            if (!run.serviceId.empty())
                outgoing.since = DeployedRuns(connection).last(run.serviceId, run.seq, stage.name);
            break;
        }
    if (outgoing.stageId.empty())
        return outgoing;
    std::istringstream lines(toldBy(stages));
    for (std::string line; !outgoing.complete && std::getline(lines, line);)
    {
        const std::string hash = line.substr(0, line.find(' '));
        outgoing.complete = outgoing.since && hash == outgoing.since->commitHash;
        if (!outgoing.complete)
            outgoing.commits.push_back({hash, line.substr(std::min(hash.size() + 1, line.size()))});
    }
    // Without a checkout, only what the run says of itself is known.
    if (outgoing.commits.empty() && !outgoing.complete && !run.commitHash.empty())
        outgoing.commits.push_back({run.commitHash, firstLine(run.commitMessage)});
    return outgoing;
}

std::string toApiJson(const OutgoingCommits& outgoing)
{
    using namespace json;
    return object(
        [&](Writer& out)
        {
            putOrNull(out, "stageId", outgoing.stageId);
            putOrNull(out, "sinceRunId", outgoing.since ? outgoing.since->runId : "");
            putOrNull(out, "sinceCommitHash", outgoing.since ? outgoing.since->commitHash : "");
            out.Key("complete");
            out.Bool(outgoing.complete);
            out.Key("commits");
            out.StartArray();
            for (const auto& commit : outgoing.commits)
            {
                out.StartObject();
                put(out, "commitHash", commit.hash);
                put(out, "subject", commit.subject);
                out.EndObject();
            }
            out.EndArray();
        });
}

} // namespace agent
