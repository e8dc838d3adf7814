#include "agent/ctl/Options.h"

#include "agent/ctl/StatusWords.h"

#include <CLI/Config.hpp>
#include <CLI/Error.hpp>
#include <CLI/Formatter.hpp>

namespace agent::ctl
{

namespace
{

// The statuses that a PATCH accepts; no stage can be set to AWAITING_APPROVAL.
constexpr const char* patched = "waiting, running, success or failed";

/// Returns a status in the API's spelling, given so or in words. Errors: CLI::ValidationError that lists `patched`.
std::string patchedStatus(const std::string& given)
{
    const auto status = statusNamed(given);
    if (!status)
        throw CLI::ValidationError("STATUS", std::string("must be ") + patched);
    return std::string(toString(*status));
}

constexpr const char* anyStatus = "waiting, running, needs-approval, success or failed";

} // namespace

void addRunOptions(CLI::App& verb, RunRequest& to)
{
    verb.add_option("SERVICE", to.service, "Name or id")->required()->type_name("");
    verb.add_flag("-f,--follow", to.follow, "Follow it to its end; Ctrl-C leaves it running");
    verb.add_option("--commit", to.commit, "Commit to build")->type_name("HASH");
    verb.add_option("--branch", to.branch, "Branch to build")->type_name("NAME");
    verb.add_option("--env", to.env, "Environment variable for its stages (repeatable)")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    verb.add_option("--label", to.labels, "Label KEY:VALUE to find it by (repeatable)")
        ->type_name("LABEL")
        ->allow_extra_args(false);
    verb.add_option("--priority", to.priority, "Runs with a higher priority start first")
        ->type_name("N");
    verb.add_option("--message", to.message, "The run's commit message")->type_name("TEXT");
    verb.add_option("--idempotency-key", to.idempotencyKey,
                    "Runs with the same key are started only once (24 h)")
        ->type_name("KEY");
}

void addRunsOptions(CLI::App& verb, RunsQuery& to)
{
    verb.add_option("--service", to.service, "Only of this service")->type_name("NAME|ID");
    verb.add_option_function<std::string>(
            "--status",
            [&to](const std::string& text)
            {
                const auto statuses = statusesNamed(text);
                if (!statuses)
                    throw CLI::ValidationError("STATUS", std::string("must be ") + anyStatus +
                                                             ", several with commas");
                to.statuses = *statuses;
            },
            std::string("Only with this status: ") + anyStatus + ", several with commas")
        ->type_name("STATUS");
    verb.add_option("--branch", to.branch, "Only of this branch")->type_name("NAME");
    verb.add_option("--label", to.label, "Only with this label, KEY:VALUE")->type_name("LABEL");
    verb.add_option("--since", to.since,
                    "Only created from this time on: an age (1d), or 2026-03-20T17:17:13.760Z")
        ->type_name("TIME");
    verb.add_option("--limit", to.limit, "Maximum number (default: 20)")
        ->check(CLI::Range(1, 1000))
        ->type_name("N");
}

void addArtifactsOptions(CLI::App& verb, ArtifactsQuery& to)
{
    verb.add_option("RUN|STAGE", to.target, stageNames)->required()->type_name("");
    verb.add_option("--get", to.patterns,
                    "Bring the files that match here, as `artifacts` of a stage does (repeatable)")
        ->type_name("PATTERN")
        ->allow_extra_args(false);
    verb.add_option("--to", to.to, "With --get: the folder (default: this one)")->type_name("DIR");
}

void addPatchOptions(CLI::App& verb, PatchRequest& to)
{
    verb.add_option("STAGE", to.stage, stageNames)->required()->type_name("");
    verb.add_option_function<std::string>(
            "STATUS", [&to](const std::string& text) { to.status = patchedStatus(text); }, patched)
        ->required()
        ->type_name("");
    verb.add_option("--reason", to.reason, "Reason, kept in the history")
        ->required()
        ->type_name("TEXT");
    verb.add_option("--if-match", to.ifMatch, "Only if the stage still has this version")
        ->type_name("VERSION");
}

void addLogsOptions(CLI::App& verb, LogsQuery& to)
{
    verb.add_option("STAGE", to.stage, stageNames)->required()->type_name("");
    verb.add_flag("-f,--follow", to.follow, "Follow until the stage has ended");
    verb.add_flag("--timestamps", to.timestamps, "Prefix each line with its time");
    verb.add_option("--tail", to.tail, "Only the last lines")
        ->check(CLI::Range(0, 10'000'000))
        ->type_name("N");
    verb.add_option("--since", to.since,
                    "Only lines from this time on: an age (10m), or 2026-03-20T17:17:13.760Z")
        ->type_name("TIME");
    verb.add_option("--attempt", to.attempt, "Attempt to show (default: the newest)")
        ->check(CLI::Range(1, 1'000'000))
        ->type_name("N");
    verb.add_flag("--raw", to.raw,
                  "Bytes unchanged; else escape sequences other than colours are escaped");
}

void addExecOptions(CLI::App& verb, ExecCommand& to)
{
    verb.add_option("SERVICE", to.service, "Name or id")->required()->type_name("");
    verb.add_option("STAGE", to.stage, "Name, type or number")->required()->type_name("");
    verb.add_option("-c,--config", to.config, "The agent's configuration")->type_name("FILE");
    verb.add_option("-D,--define", to.definitions, "A configuration key (repeatable)")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    verb.add_option("--commit", to.commit, "Commit to build")->type_name("HASH");
    verb.add_option("--branch", to.branch, "Branch to build")->type_name("NAME");
    verb.add_option("--env", to.env, "Environment variable for the stages (repeatable)")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    verb.add_option(
            "--workspace", to.workspace,
            "Execute only the stage, in this folder; else after the PREPARE stages before it")
        ->type_name("DIR");
    verb.add_option("--from", to.from,
                    "Execute only the stage, in a copy of the workspace of this run (or folder)")
        ->type_name("RUN");
    verb.add_flag("--with-before", to.withBefore,
                  "Execute all stages before it too, but deployments");
    verb.add_flag("--keep", to.keep, "Keep the temporary folder");
    verb.add_flag("--raw", to.raw, "Bytes unchanged, as with logs");
    verb.add_flag("--yes", to.confirmed, "Required for deployments");
}

void addInitOptions(CLI::App& verb, InitRequest& to)
{
    verb.add_option("--name", to.name, "Name of the service (default: the folder's)")
        ->type_name("NAME");
    verb.add_option("--services", to.services,
                    "Folder of service files (default: /etc/stage-agent/services.d)")
        ->type_name("DIR");
    verb.add_flag("--print", to.onlyPrint, "Only print it");
    verb.add_flag("--force", to.force, "Overwrite the service file");
}

void addLintOptions(CLI::App& verb, LintRequest& to)
{
    verb.add_option("FILE", to.file, "The file (default: .stage-agent.yaml)")->type_name("");
    verb.add_option("--service", to.service, "By the rules of this service of this host")
        ->type_name("NAME");
    verb.add_option("-c,--config", to.config, "With --service: the agent's configuration")
        ->type_name("FILE");
    verb.add_option("-D,--define", to.definitions, "A configuration key (repeatable)")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    verb.add_flag("--schema", to.schema, "Print the JSON Schema of such files");
}

void addCachesOptions(CLI::App& verb, CachesRequest& to)
{
    verb.add_option("--service", to.service, "Those of one service")->type_name("NAME");
    verb.add_option("--remove", to.remove, "Remove the cache with this id (repeatable)")
        ->type_name("CACHE")
        ->allow_extra_args(false);
    verb.add_flag("--remove-all", to.removeAll, "Remove all of the service")->needs("--service");
}

void addLimit(CLI::App& verb, const std::string& what, std::int64_t& to)
{
    constexpr int most = 1000;
    verb.add_option("--limit", to, what + " at most (default: 100)")
        ->check(CLI::Range(1, most))
        ->type_name("N");
}

} // namespace agent::ctl
