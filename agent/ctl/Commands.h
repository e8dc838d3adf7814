#pragma once

#include "agent/ctl/Agents.h"
#include "agent/ctl/Failure.h"
#include "agent/ctl/Terminal.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agent::ctl
{

/// What every verb works with.
struct Session
{
    const Agents& agents;
    Terminal terminal;
    bool json = false; ///< print the API's JSON as it came, nothing else
};

struct RunsQuery
{
    std::string service; ///< name or id; empty: all
    std::string status;  ///< as the API writes it; empty: all
    std::int64_t limit = 20;
};

struct LogsQuery
{
    std::string stage;
    bool follow = false;
    bool timestamps = false;
    bool raw = false;
    std::string since; ///< a time, or how long ago; empty: all
    std::optional<std::int64_t> tail;
    std::optional<std::int64_t> attempt;
};

struct RunRequest
{
    std::string service;
    bool follow = false;
    std::string commit;
    std::string branch;
    std::string message;
    std::vector<std::string> env; ///< each `K=V`
    std::optional<std::int64_t> priority;
    std::string idempotencyKey;
};

struct PatchRequest
{
    std::string stage;
    std::string status; ///< as the API writes it
    std::string reason;
    std::string ifMatch;
};

// Verbs that look at one run or stage. Each prints and gives how the program ends.
// Errors of all verbs: Failure.
Exit listStages(const Session& session, const std::string& name);
Exit showStage(const Session& session, const std::string& name);
Exit showHistory(const Session& session, const std::string& stageOrRun);

// Verbs that ask all agents: in Lists.cpp.
Exit listRuns(const Session& session, const RunsQuery& query);
Exit listServices(const Session& session);
Exit listPlugins(const Session& session);
Exit showAgent(const Session& session);
Exit showHealth(const Session& session);
Exit listStuck(const Session& session); ///< in Stuck.cpp

/// `logs`: in Logs.cpp.
Exit showLogs(const Session& session, const LogsQuery& query);

// Verbs that change something: in Changes.cpp.
Exit startRun(const Session& session, const RunRequest& request);
Exit rerun(const Session& session, const std::string& run, bool follow);
Exit stopRun(const Session& session, const std::string& name);
Exit approveRun(const Session& session, const std::string& name);
Exit reject(const Session& session, const std::string& runOrStage, const std::string& reason);
Exit patchStage(const Session& session, const PatchRequest& request);
Exit retryStage(const Session& session, const std::string& name, const std::string& reason);
Exit skipStage(const Session& session, const std::string& name, const std::string& reason);
/// Without `sure` it refuses on a terminal.
Exit deleteTarget(const Session& session, const std::string& runOrStage, bool sure);
Exit drainAgent(const Session& session);
Exit resumeAgent(const Session& session);

/// Prints an answer's body untouched, as one document with a line end.
void printJson(const std::string& body);

} // namespace agent::ctl
