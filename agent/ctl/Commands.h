#pragma once

#include "agent/ctl/Agents.h"
#include "agent/ctl/Failure.h"
#include "agent/ctl/Terminal.h"
#include "agent/model/Timestamp.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agent::ctl
{

/// What all verbs share.
struct Session
{
    const Agents& agents;
    Terminal terminal;
    bool json = false; ///< print one document: the API's JSON, unchanged
    bool yaml = false; ///< that document as YAML

    /// Returns the document for these bytes of JSON.
    [[nodiscard]] std::string document(const std::string& body) const;
};

struct RunsQuery
{
    std::string service;               ///< name or id; empty: all
    std::vector<std::string> statuses; ///< in the API's spelling; none: all
    std::string branch;
    std::string label; ///< `key:value`; empty: all
    std::string since; ///< a time, or an age
    std::int64_t limit = 20;
};

struct LogsQuery
{
    std::string stage;
    bool follow = false;
    bool timestamps = false;
    bool raw = false;
    std::string since; ///< a time, or an age; empty: all
    std::optional<std::int64_t> tail;
    std::optional<std::int64_t> attempt;
};

struct ArtifactsQuery
{
    std::string target;                ///< run or stage
    std::vector<std::string> patterns; ///< files to bring here; none: they are listed
    std::string to;                    ///< folder; empty: this one
};

struct RunRequest
{
    std::string service;
    bool follow = false;
    std::string commit;
    std::string branch;
    std::string message;
    std::vector<std::string> env;    ///< each `K=V`
    std::vector<std::string> labels; ///< each `key:value`
    std::optional<std::int64_t> priority;
    std::string idempotencyKey;
};

struct PatchRequest
{
    std::string stage;
    std::string status; ///< in the API's spelling
    std::string reason;
    std::string ifMatch;
};

struct TokenRequest
{
    std::string name;
    std::string role = "read";
    std::vector<std::string> services; ///< patterns
    std::string expires;               ///< a time or a span; empty: never
    bool proxy = false;
    bool quiet = false; ///< print the token and nothing else
};

struct CachesRequest
{
    std::string service;             ///< empty: all
    std::vector<std::string> remove; ///< ids
    bool removeAll = false;          ///< those of the service
};

// Verbs that show one run or stage. All verbs print and return the exit code. Errors: Failure.
Exit listStages(const Session& session, const std::string& name);
Exit showStage(const Session& session, const std::string& name);
Exit showHistory(const Session& session, const std::string& stageOrRun);
Exit describe(const Session& session, const std::string& runOrStage);    ///< Describe.cpp
Exit listProcesses(const Session& session, const std::string& name);     ///< Processes.cpp
Exit showArtifacts(const Session& session, const ArtifactsQuery& query); ///< Artifacts.cpp
/// `details`: with what stands in the reports besides the message. Tests.cpp
Exit showTests(const Session& session, const std::string& name, bool details);

// Verbs that ask all agents: Lists.cpp.
Exit listRuns(const Session& session, const RunsQuery& query); ///< Runs.cpp
Exit listServices(const Session& session);
Exit listPlugins(const Session& session);
Exit showAgent(const Session& session);
Exit showHealth(const Session& session);
Exit listStuck(const Session& session); ///< Stuck.cpp

/// `logs`: Logs.cpp.
Exit showLogs(const Session& session, const LogsQuery& query);

// Verbs that change something: Changes.cpp.
Exit startRun(const Session& session, const RunRequest& request);
Exit rerun(const Session& session, const std::string& run, bool follow);
Exit stopRun(const Session& session, const std::string& name);
Exit keepRun(const Session& session, const std::string& name, bool undo);
Exit approveRun(const Session& session, const std::string& name);
Exit reject(const Session& session, const std::string& runOrStage, const std::string& reason);
Exit patchStage(const Session& session, const PatchRequest& request);
Exit retryStage(const Session& session, const std::string& name, const std::string& reason);
Exit skipStage(const Session& session, const std::string& name, const std::string& reason);
/// On a terminal, refuses unless `confirmed`.
Exit deleteTarget(const Session& session, const std::string& runOrStage, bool confirmed);
Exit drainAgent(const Session& session);
Exit resumeAgent(const Session& session);

// Verbs of who may what: Tokens.cpp.
Exit createToken(const Session& session, const TokenRequest& request);
Exit listTokens(const Session& session);
Exit revokeToken(const Session& session, const std::string& name);
/// Prints an address that opens the dashboard once; on a desktop opens it too, unless `onlyPrint`.
Exit openDashboard(const Session& session, bool onlyPrint);

/// What forges delivered: Hooks.cpp.
Exit listHooks(const Session& session, std::int64_t limit);

/// What stages keep from one run to the next: Caches.cpp.
Exit listCaches(const Session& session, const CachesRequest& request);

// Verbs of the reports that wait: Outbox.cpp.
Exit listOutbox(const Session& session, std::int64_t limit);
Exit retryReport(const Session& session, const std::string& id);
Exit dropReport(const Session& session, const std::string& id);

/// Returns the only agent. Errors: Failure Usage with several: `verb` concerns one.
const Client& theAgent(const Session& session, const std::string& verb);

/// Prints an answer's body as the session wants its documents, ending with a line break.
void printDocument(const Session& session, const std::string& body);

/// Returns the time given as such, or as an age (`10m`). Errors: Failure Usage.
std::optional<TimeMs> sinceFrom(const std::string& text);

} // namespace agent::ctl
