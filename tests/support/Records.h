#pragma once

#include "agent/model/Id.h"
#include "agent/model/Run.h"
#include "agent/model/Stage.h"

#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace agent
{

/// What a column, a statement or a JSON text could stumble over.
inline const std::string awkward = "it's \"quoted\"; DROP TABLE runs; -- ä€😀\n\t\\ %s ?1 \x01";

template <typename T> void writeLine(std::ostream& out, const char* name, const T& value)
{
    out << name << '=' << value << '\n';
}

template <typename T>
void writeLine(std::ostream& out, const char* name, const std::optional<T>& value)
{
    out << name << '=';
    if (value)
        out << *value;
    else
        out << "none";
    out << '\n';
}

inline std::optional<std::string_view> word(std::optional<Cause> cause)
{
    return cause ? std::optional(toString(*cause)) : std::nullopt;
}

/// Every field, one a line: what two records differ in is seen at once.
inline std::string text(const Run& run)
{
    std::ostringstream out;
    writeLine(out, "id", run.id);
    writeLine(out, "seq", run.seq);
    writeLine(out, "createdAt", run.createdAt);
    writeLine(out, "updatedAt", run.updatedAt);
    writeLine(out, "startedAt", run.startedAt);
    writeLine(out, "endedAt", run.endedAt);
    writeLine(out, "commitHash", run.commitHash);
    writeLine(out, "commitMessage", run.commitMessage);
    writeLine(out, "committer", run.committer);
    writeLine(out, "status", toString(run.status));
    writeLine(out, "trigger", toString(run.trigger));
    writeLine(out, "serviceId", run.serviceId);
    writeLine(out, "serviceName", run.serviceName);
    writeLine(out, "branch", run.branch);
    writeLine(out, "pullNumber", run.pullNumber);
    for (const auto& [key, value] : run.labels)
        writeLine(out, ("label " + key).c_str(), value);
    writeLine(out, "priority", run.priority);
    writeLine(out, "pipeline", run.pipeline);
    writeLine(out, "resumed", run.resumed);
    writeLine(out, "kept", run.kept);
    writeLine(out, "holdsSlot", run.holdsSlot);
    writeLine(out, "wantsSlot", run.wantsSlot);
    writeLine(out, "stopping", run.stopping);
    writeLine(out, "stopCause", word(run.stopCause));
    writeLine(out, "version", run.version);
    writeLine(out, "beganBootId", run.beganBootId);
    writeLine(out, "beganBootMs", run.beganBootMs);
    return out.str();
}

inline std::string text(const Stage& stage)
{
    std::ostringstream out;
    writeLine(out, "id", stage.id);
    writeLine(out, "runId", stage.runId);
    writeLine(out, "ordinal", stage.ordinal);
    writeLine(out, "type", toString(stage.type));
    writeLine(out, "name", stage.name);
    writeLine(out, "plugin", stage.plugin);
    writeLine(out, "status", toString(stage.status));
    writeLine(out, "attempt", stage.attempt);
    writeLine(out, "createdAt", stage.createdAt);
    writeLine(out, "updatedAt", stage.updatedAt);
    writeLine(out, "startedAt", stage.startedAt);
    writeLine(out, "endedAt", stage.endedAt);
    writeLine(out, "cause", word(stage.cause));
    writeLine(out, "exitCode", stage.exitCode);
    writeLine(out, "signal", stage.signal);
    writeLine(out, "message", stage.message);
    writeLine(out, "containment", stage.containment);
    writeLine(out, "isolation", stage.isolation);
    writeLine(out, "network", stage.network);
    writeLine(out, "limitsMissing", stage.limitsMissing);
    writeLine(out, "notes", stage.notes);
    writeLine(out, "logBytes", stage.logBytes);
    writeLine(out, "cpuMs", stage.usage.cpuMs);
    writeLine(out, "maxRssBytes", stage.usage.maxRssBytes);
    writeLine(out, "readBytes", stage.usage.readBytes);
    writeLine(out, "writeBytes", stage.usage.writeBytes);
    writeLine(out, "bootId", stage.bootId);
    writeLine(out, "synced", static_cast<int>(stage.synced));
    writeLine(out, "artifactFiles", stage.artifactFiles);
    writeLine(out, "artifactBytes", stage.artifactBytes);
    writeLine(out, "artifactManifest", stage.artifactManifest);
    writeLine(out, "testsTotal", stage.testsTotal);
    writeLine(out, "testsFailed", stage.testsFailed);
    writeLine(out, "testsSkipped", stage.testsSkipped);
    writeLine(out, "outputs", stage.outputs);
    writeLine(out, "approved", stage.approved);
    writeLine(out, "startedCorrected", stage.startedCorrected);
    writeLine(out, "intent", toString(stage.intent));
    writeLine(out, "intentActor", stage.intentActor);
    writeLine(out, "intentReason", stage.intentReason);
    writeLine(out, "intentStartedAt", stage.intentStartedAt);
    writeLine(out, "intentEndedAt", stage.intentEndedAt);
    writeLine(out, "retryAt", stage.retryAt);
    writeLine(out, "expiresAt", stage.expiresAt);
    writeLine(out, "skipped", stage.skipped);
    writeLine(out, "stuckSince", stage.stuckSince);
    writeLine(out, "stuckWhy", stage.stuckWhy);
    writeLine(out, "version", stage.version);
    return out.str();
}

/// No two fields alike, so that swapped columns are seen.
inline Run fullRun()
{
    return {.id = newId(),
            .createdAt = 1'000,
            .updatedAt = 1'001,
            .startedAt = 1'002,
            .endedAt = 1'003,
            .commitHash = "hash " + awkward,
            .commitMessage = "message " + awkward,
            .committer = "committer " + awkward,
            .status = Status::AwaitingApproval,
            .trigger = TriggerType::PrSync,
            .serviceId = "service id",
            .serviceName = "name " + awkward,
            .branch = "branch " + awkward,
            .pullNumber = 1'004,
            .labels = {{"id", "a:b c"}, {"team", "pay"}},
            .priority = -1'005,
            .pipeline = "pipeline " + awkward,
            .stopCause = Cause::Superseded,
            .version = 1'006,
            .beganBootId = "boot id",
            .beganBootMs = 1'007};
}

inline Stage fullStage(const std::string& runId)
{
    return {.id = newId(),
            .runId = runId,
            .ordinal = 7,
            .type = StageType::DeployStaging,
            .name = "name " + awkward,
            .plugin = "plugin " + awkward,
            .status = Status::Failure,
            .attempt = 3,
            .createdAt = 2'000,
            .updatedAt = 2'001,
            .startedAt = 2'002,
            .endedAt = 2'003,
            .cause = Cause::HostReboot,
            .exitCode = 255,
            .signal = 15,
            .message = "message " + awkward,
            .containment = "cgroup",
            .isolation = "sandbox",
            .network = "none",
            .limitsMissing = "memory,pids",
            .notes = "LOG_LIMIT,OOM",
            .logBytes = 5'000'000'000,
            .usage = {.cpuMs = 2'004,
                      .maxRssBytes = 2'005,
                      .readBytes = 2'006,
                      .writeBytes = INT64_MAX},
            .pluginSha256 = "digest " + awkward,
            .bootId = "boot " + awkward,
            .shimPid = 2'012,
            .shimStart = 2'013,
            .sealKey = "key " + awkward,
            .synced = Sync::Lost,
            .artifactFiles = 2'015,
            .artifactBytes = 2'016,
            .artifactManifest = "manifest " + awkward,
            .testsTotal = 2'017,
            .testsFailed = 2'018,
            .testsSkipped = 2'019,
            .outputs = "{\"a\":\"" + awkward + "\"}",
            .intent = Intent::Succeed,
            .intentActor = "actor " + awkward,
            .intentReason = "reason " + awkward,
            .intentStartedAt = 2'007,
            .intentEndedAt = 2'008,
            .retryAt = 2'009,
            .expiresAt = 2'014,
            .skipped = "skipped " + awkward,
            .stuckSince = 2'010,
            .stuckWhy = "no output for 10 min",
            .version = 2'011};
}

} // namespace agent
