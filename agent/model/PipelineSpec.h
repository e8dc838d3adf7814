#pragma once

#include "agent/model/CacheSpec.h"
#include "agent/model/Isolation.h"
#include "agent/model/NeedSpec.h"
#include "agent/model/Run.h"
#include "agent/model/Stage.h"
#include "agent/model/StageOutput.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// A plugin setting's value in a pipeline.
struct Setting
{
    enum class Kind
    {
        String,
        Number,
        Boolean,
        List,
        Map
    };

    Kind kind = Kind::String;
    std::string
        text; ///< the value of `PLUGIN_<NAME>`: the scalar as written; lists and maps as JSON

    bool operator==(const Setting&) const = default;
};

/// When and how often a failed stage is retried.
struct RetrySpec
{
    int attempts = 1; ///< in total
    std::int64_t delayMs = 0;
    std::vector<int> onExitCodes;
    std::vector<Cause> onCauses; ///< without exit codes and causes: any failure of the command
    bool onLoss = false;         ///< also after SHIM_LOST and HOST_REBOOT

    bool operator==(const RetrySpec&) const = default;
};

/// Resource limits of a stage; 0 is no limit.
struct Limits
{
    std::int64_t memoryBytes = 0;
    std::int64_t cpuPercent = 0; ///< 100 is one core
    std::int64_t pids = 0;

    bool operator==(const Limits&) const = default;
};

/// After which course of a run a stage has its turn.
enum class RunsAfter
{
    Success, ///< nothing before it failed
    Failure, ///< the run has failed
    Always
};

std::string_view toString(RunsAfter after);
std::optional<RunsAfter> runsAfterFrom(std::string_view text);

/// In which runs, and when in them, a stage runs: docs/conditions.md.
struct WhenSpec
{
    std::vector<std::string> branches; ///< patterns; empty: all branches
    std::vector<TriggerType> triggers; ///< empty: all
    RunsAfter run = RunsAfter::Success;

    bool operator==(const WhenSpec&) const = default;
};

/// Who has to approve a stage before it starts, and until when.
struct ApprovalSpec
{
    bool required = false;
    std::optional<std::int64_t> expiresMs; ///< none: never
    std::vector<std::string> by;           ///< roles and actors; empty: whoever operates

    bool operator==(const ApprovalSpec&) const = default;
};

/// What a stage makes that is kept: docs/artifacts.md.
struct ArtifactSpec
{
    std::vector<std::string> paths;     ///< patterns of files; empty: nothing is kept
    std::string name;                   ///< empty: the stage's name
    std::optional<std::int64_t> keepMs; ///< none: artifacts.keep; 0: as long as the run
    RunsAfter when = RunsAfter::Success;
    bool required = false; ///< without a file the stage fails

    bool operator==(const ArtifactSpec&) const = default;
};

/// Which files of a stage are reports.
struct ReportSpec
{
    std::vector<std::string> junit; ///< patterns

    bool operator==(const ReportSpec&) const = default;
};

struct StageSpec
{
    StageType type = StageType::Other;
    std::string name; ///< empty: the type's name
    std::string plugin;
    std::map<std::string, Setting> with;
    std::optional<std::int64_t> timeoutMs; ///< none: stage.timeout of the configuration
    std::optional<std::int64_t> silenceMs; ///< none: no limit
    std::optional<std::int64_t> graceMs;   ///< none: stage.grace of the configuration
    std::optional<std::int64_t> stuckAfterMs;
    RetrySpec retry;
    Limits limits;
    WhenSpec when;
    ApprovalSpec approval;
    StageOutput output = StageOutput::Merged;
    ArtifactSpec artifacts;
    ReportSpec reports;
    std::vector<CacheSpec> caches;
    std::vector<NeedSpec> needs;
    std::vector<std::string> secrets; ///< names, besides those of the pipeline

    bool operator==(const StageSpec&) const = default;
};

/// Returns what the stage's artifacts are called.
std::string artifactNameOf(const StageSpec& stage);

/// The stages and branches that a secret is for.
struct SecretGrant
{
    std::vector<StageType> types;      ///< empty: all
    std::vector<std::string> branches; ///< patterns; empty: all

    bool operator==(const SecretGrant&) const = default;
};

/// What git fetches a service's repository with, and others on the same host. Names are files in secrets.dir.
struct GitCredential
{
    std::string token;      ///< of https; empty: none
    std::string user;       ///< that goes with it
    std::string sshKey;     ///< empty: none
    std::string knownHosts; ///< lines as in ssh's file: the only hosts that are believed

    [[nodiscard]] bool none() const { return token.empty() && sshKey.empty(); }

    bool operator==(const GitCredential&) const = default;
};

/// Of a run that comes of a fork's pull request.
struct Fork
{
    std::string base; ///< the branch that it is to go into; empty: the repository's HEAD

    bool operator==(const Fork&) const = default;
};

/// What a pipeline file of a repository may have: docs/pipeline-in-repository.md.
struct FileRules
{
    std::vector<std::string> plugins{"shell"};
    std::vector<StageType> withoutApproval; ///< of the DEPLOY types; others of these need one
    Limits limits;                          ///< of each stage; 0: any
    std::optional<std::int64_t> timeoutMs;  ///< of each stage; none: any
    std::vector<std::string> needs;         ///< services whose artifacts it may name

    bool operator==(const FileRules&) const = default;
};

/// A file of the repository that has the stages of a run.
struct PipelineFile
{
    std::string path; ///< relative to the repository's root
    FileRules allow;
    bool deploys = true; ///< its DEPLOY stages count; else they are left out

    bool operator==(const PipelineFile&) const = default;
};

/// What a run finds in its workspace: docs/workspaces.md.
enum class WorkspaceMode
{
    Fresh, ///< a folder of its own, empty
    Clean, ///< one that is kept, made as a fresh checkout
    Reuse  ///< the same, with the files that the repository ignores
};

std::string_view toString(WorkspaceMode mode);
std::optional<WorkspaceMode> workspaceModeFrom(std::string_view text);

/// What a run executes; fixed at submit and stored with it as JSON. With `file` it has one stage, PREPARE, until the file
/// has been read; then all of them, and no `file`.
struct PipelineSpec
{
    std::string repository;
    std::string branch;
    std::map<std::string, std::string> env;
    std::vector<std::string> secrets;          ///< of all stages: names of files in secrets.dir
    std::map<std::string, SecretGrant> grants; ///< by secret; one that is not here is not narrowed
    GitCredential git;
    bool secretless = false;            ///< of a pull request: no stage gets a secret
    std::optional<Fork> fork;           ///< none: of the repository itself
    std::optional<Isolation> isolation; ///< none: as the configuration has it
    Network network = Network::Host;
    std::vector<Bind> binds;
    std::optional<PipelineFile> file;
    WorkspaceMode workspace = WorkspaceMode::Fresh; ///< only of a service
    bool supersede = false;        ///< a new run stops older ones of its branch; only of a service
    std::vector<StageSpec> stages; ///< in the order of execution, at least one

    bool operator==(const PipelineSpec&) const = default;
};

/// Returns the names of all secrets that a stage of the pipeline may have, git's credentials too, each once. What one
/// stage was given, another may find in the workspace: all are masked in the logs of each.
std::vector<std::string> allSecrets(const PipelineSpec& pipeline);

/// Returns the stages of a new run of `pipeline`, in order, with new ids.
std::vector<Stage> stagesOf(const PipelineSpec& pipeline, const Run& run);

/// What of a forge's deliveries starts a run of a service.
struct OnRules
{
    std::vector<std::string> branches; ///< patterns of branches that are pushed
    std::vector<std::string> tags;     ///< patterns of tags that are pushed
    bool pullRequest = false;
    std::vector<std::string>
        bases; ///< patterns of branches that a pull request is to go into; empty: all

    bool operator==(const OnRules&) const = default;
};

/// Where the forge shows what runs are about. Addresses with a placeholder; empty: nowhere.
struct Links
{
    std::string commit; ///< `{commit}`
    std::string branch; ///< `{branch}`
    std::string pull;   ///< `{pull}`

    bool operator==(const Links&) const = default;
};

/// A service of `services.d/`.
struct Service
{
    std::string id; ///< given in the file, or generated at its first load and kept for the name
    std::string name;
    std::string file; ///< where it was declared
    int concurrency = 1;
    PipelineSpec pipeline;
    Labels labels; ///< of its runs, but for those that a request gives another value
    Links links;
    std::optional<OnRules> on; ///< none: no delivery starts a run
    std::string
        hookSecret; ///< name of the file in secrets.dir; empty: hooks.secret of the configuration
    bool secretsForPullRequests = false;
    bool forksAllowed = false; ///< pull requests of forks start runs: docs/secrets.md
    std::int64_t pollMs = 0;   ///< how often its repository is asked for what is new; 0: never
};

/// An error in a file or request.
struct Problem
{
    std::string file; ///< empty for a request
    int line = 0;     ///< from 1; 0 when unknown
    int column = 0;   ///< from 1; 0 when it is not told
    std::string key;  ///< a path such as `stages[1].timeout`; empty for the file as a whole
    std::string message;

    /// `services.d/a.yaml:7: stages[1].timeout: message`, or with a column `a.yaml:7:5: …`
    [[nodiscard]] std::string describe() const;
};

} // namespace agent
