#include "agent/run/PipelineKeys.h"

namespace agent
{

const PipelineKeys fileKeys{
    {"env", Shape::Environment,
     "Variables of every stage. Those that the service or the request sets keep their value."},
    {"stages", Shape::Stages, "They run in this order, after the checkout.", true},
};

const PipelineKeys stageKeys{
    {"type", Shape::Type, "What the stage is; may repeat.", true},
    {"name", Shape::StageName, "The displayed name. Default: the type."},
    {"plugin", Shape::Plugin, "What executes the stage, such as shell.", true},
    {"with", Shape::Settings, "The plugin's settings: {command: …} of shell."},
    {"timeout", Shape::Span, "The stage ends in FAILURE after this: 500ms, 30s, 10m, 2h."},
    {"silence", Shape::Span, "The same after this time without output. Default: no limit."},
    {"grace", Shape::Duration, "Time from SIGTERM to SIGKILL."},
    {"stuck_after", Shape::Span, "Reported as stuck after this time without output."},
    {"output", Shape::Output, "Whether stdout and stderr are one stream. Default: merged."},
    {"retry", Shape::Retry, "When and how often a failed stage is tried again."},
    {"limits", Shape::Limits, "What its processes may use together."},
    {"when", Shape::When, "In which runs it runs; in others it is skipped."},
    {"approval", Shape::Approval, "required: waits until somebody approves it."},
    {"artifacts", Shape::Artifacts, "Files of the workspace to keep: [\"dist/**\"]."},
    {"reports", Shape::Reports, "Files with the results of tests."},
    {"cache", Shape::Caches, "What is kept from one run to the next."},
    {"needs", Shape::Needs,
     "Artifacts of other services that are copied into the workspace before the command runs."},
    {"secrets", Shape::SecretNames, "Secrets of this stage, which the service's grants must name."},
};

const PipelineKeys retryKeys{
    {"attempts", Shape::Attempts, "In total. Default: 2."},
    {"delay", Shape::Duration, "Between two attempts. Default: none."},
    {"on", Shape::RetryOn, "Exit codes and causes. Default: any failure of the command."},
    {"on_loss", Shape::Boolean, "Also if the host rebooted or the shim was killed."},
};

const PipelineKeys limitKeys{
    {"memory", Shape::Bytes, "512MiB, 2GiB."},
    {"cpu", Shape::Cpu, "Cores, or percent of one: 1.5 is 150%."},
    {"pids", Shape::Count, "Processes and threads."},
};

const PipelineKeys whenKeys{
    {"branch", Shape::Names, "Patterns of the run's branch: [main, \"release/*\"]."},
    {"trigger", Shape::Triggers, "What started the run."},
    {"run", Shape::RunsAfter,
     "Whether it runs after a failure of another stage. Default: success."},
};

const PipelineKeys approvalKeys{
    {"required", Shape::Boolean, "true: waits until somebody approves it.", true},
    {"expires", Shape::Span, "It fails when nobody approves it in time. Default: never."},
    {"by", Shape::Names, "Roles, names of tokens and users who may. Default: who operates."},
};

const PipelineKeys cacheKeys{
    {"key", Shape::CacheKey, "Its name: npm-${arch}-${sha256:package-lock.json}.", true},
    {"restore", Shape::CacheKeys,
     "Prefixes of keys; the newest match is restored where no cache has the exact key: [npm-]."},
    {"paths", Shape::CachePaths, "Of the workspace, or ~/… in HOME: [node_modules, ~/.npm].", true},
};

const PipelineKeys needKeys{
    {"service", Shape::Service, "Name of the service that made the artifacts.", true},
    {"artifacts", Shape::Name, "Name of the artifacts, as that service's stage declares it.", true},
    {"to", Shape::Folder, "Target folder in the workspace; its contents are replaced: vendor/lib.",
     true},
    {"branch", Shape::Branch, "Of which branch. Default: that of the service."},
    {"optional", Shape::Boolean, "true: where there are none, the stage runs without."},
};

const PipelineKeys artifactKeys{
    {"paths", Shape::FilePatterns, "Patterns of files: [\"dist/**\"].", true},
    {"name", Shape::Name, "What others call them. Default: the stage's name."},
    {"keep", Shape::Duration, "How long: 7d. 0: as long as the run. Default: artifacts.keep."},
    {"when", Shape::RunsAfter, "After which end of the command. Default: success."},
    {"required", Shape::Boolean, "true: without a file the stage fails."},
};

const PipelineKeys reportKeys{
    {"junit", Shape::FilePatterns, "JUnit's XML: [\"reports/**/*.xml\"].", true},
};

const std::vector<std::string_view> serviceKeys{"id",          "name",
                                                "repository",  "branch",
                                                "concurrency", "env",
                                                "secrets",     "stages",
                                                "isolation",   "network",
                                                "binds",       "on",
                                                "hook_secret", "secrets_for_pull_requests",
                                                "pipeline",    "allow",
                                                "labels",      "links",
                                                "grants",      "git",
                                                "forks",       "supersede",
                                                "poll",        "workspace"};

std::vector<std::string_view> namesOf(const PipelineKeys& keys)
{
    std::vector<std::string_view> names;
    names.reserve(keys.size());
    for (const PipelineKey& key : keys)
        names.push_back(key.name);
    return names;
}

} // namespace agent
