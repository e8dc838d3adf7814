#pragma once

#include "agent/ctl/Commands.h"
#include "agent/ctl/Exec.h"
#include "agent/ctl/Init.h"
#include "agent/ctl/Lint.h"

#include <CLI/App.hpp>

namespace agent::ctl
{

constexpr const char* runNames = "Id, its first characters, or a service: its newest run";
constexpr const char* stageNames = "Id, its first characters, RUN/BUILD, or a run or service";

// The options of verbs that have many.
void addRunOptions(CLI::App& verb, RunRequest& to);
void addRunsOptions(CLI::App& verb, RunsQuery& to);
void addArtifactsOptions(CLI::App& verb, ArtifactsQuery& to);
void addPatchOptions(CLI::App& verb, PatchRequest& to);
void addLogsOptions(CLI::App& verb, LogsQuery& to);
void addExecOptions(CLI::App& verb, ExecCommand& to);
void addInitOptions(CLI::App& verb, InitRequest& to);
void addLintOptions(CLI::App& verb, LintRequest& to);
void addCachesOptions(CLI::App& verb, CachesRequest& to);

/// `--limit` of a list of `what`.
void addLimit(CLI::App& verb, const std::string& what, std::int64_t& to);

} // namespace agent::ctl
