#pragma once

#include "agent/api/Caller.h"
#include "agent/api/RunFacts.h"
#include "agent/model/PipelineSpec.h"
#include "agent/model/Run.h"
#include "agent/model/TakenSet.h"
#include "agent/outbox/TargetWorker.h"
#include "agent/plugin/PluginRegistry.h"
#include "agent/run/EngineStatus.h"
#include "agent/run/PatchRun.h"
#include "agent/run/PipelineParser.h"
#include "agent/run/Reports.h"
#include "agent/run/ServiceCatalog.h"
#include "agent/run/StageDefinition.h"
#include "agent/run/StagePatch.h"
#include "agent/run/StageProcesses.h"
#include "agent/run/SubmitRun.h"
#include "agent/run/TokenCatalog.h"
#include "agent/store/LogReader.h"
#include "agent/wire/ArtifactManifest.h"

#include <optional>
#include <string>
#include <vector>

// The only place that knows the API's field names: what it sends and what it takes.
namespace agent
{

/// A stage that is reported as stuck, with what it does right now.
struct StuckStage
{
    Stage stage;
    std::string serviceName; ///< empty: a pipeline of its own
    std::vector<ProcessDetail> processes;
    std::vector<std::string> lastLines; ///< of its log, valid UTF-8
};

std::string toApiJson(const Stage& stage); ///< the nine keys
std::string toApiJson(const std::vector<Stage>& stages);
std::string detailJson(const Stage& stage, const std::vector<TakenSet>& needs);
/// The same of a stage alone, with what it was submitted with.
std::string detailJson(const Stage& stage, const std::vector<TakenSet>& needs,
                       const std::optional<StageDefinition>& definition);
std::string toApiJson(const RunFacts& facts);
std::string toApiJson(const Service& service);
std::string toApiJson(const HistoryEntry& entry);
std::string toApiJson(const ProcessDetail& process);
std::string toApiJson(const StuckStage& stage);
std::string toApiJson(const Artifact& artifact);
std::string toApiJson(const TokenCatalog::Listed& token);

/// The agent as this caller sees it: whoever is narrowed to services gets version, host and himself only.
struct EngineOptions;
struct AgentView
{
    const EngineStatus& facts;
    const EngineOptions& options;
    const PluginRegistry& plugins;
    const std::vector<ServiceCatalog::Refused>& refused;
    const std::string& actor;
    const Caller& caller;
};
std::string agentJson(const AgentView& view);

/// A token; with `secret` where that is not empty, for the answer that makes it.
std::string tokenJson(const Token& token, const std::string& secret);

/// A code that opens a session of the dashboard at `url`.
std::string invitationJson(const std::string& code, TimeMs expiresAt, const std::string& url);
std::string stoppedJson(int stopped);

/// A line of the log of an attempt, as /api/logs and `log` events give it.
std::string logLineJson(const LogLine& line, const std::string& stageId, int attempt);

/// What a `stage` event carries: the nine keys, attempt, cause, and since when and why it is stuck.
std::string stageEventJson(const Stage& stage);

/// What a `deleted` event carries. An empty stageId: the run.
std::string deletedJson(const std::string& runId, const std::string& stageId);

/// Who reports, as receivers know it.
struct ReportOrigin
{
    std::string source; ///< CloudEvents' `source`
    std::string url;    ///< of the agent, without a slash at its end
};

/// What is sent to a target: a CloudEvent of version 1.0 with the API's own objects as its data.
/// Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
std::string reportJson(const ReportFacts& facts, const ReportOrigin& origin);

/// A report that waits.
struct WaitingReport
{
    Report report;
    std::optional<TargetQueue::Standing>
        standing; ///< nothing: it waits for another one, or has no target
};
std::string toApiJson(const Report& report);
std::string outboxJson(const std::vector<TargetStatus>& targets,
                       const std::vector<WaitingReport>& reports);

/// What POST /api/runs asks for.
struct RunRequest
{
    std::string service;                    ///< name or id; empty: an inline pipeline
    std::optional<ParsedPipeline> pipeline; ///< inline, perhaps with problems; nothing: a service
    Submission submission;                  ///< all but service and pipeline
    std::map<std::string, std::string> env;
    std::optional<Fork> fork; ///< none: the repository's own
};

/// Errors of all: Declined Invalid with the field. `{}` and unknown keys as api.md says.
RunRequest runRequestFrom(const std::string& body);
StagePatch stagePatchFrom(const std::string& body);
RunPatch runPatchFrom(const std::string& body);
Token tokenFrom(
    const std::string& body); ///< what POST /api/tokens asks for: without digest and creation
std::string codeFrom(const std::string& body); ///< of a session

} // namespace agent
