#pragma once

#include "tests/support/ShimRun.h"

/// A shim whose order has files collected.
namespace agent::test
{

inline std::filesystem::path store(const ShimRun& run)
{
    return run.folder() / "artifacts";
}

/// Its workspace is a folder of its own.
inline void prepare(ShimRun& run, const std::vector<std::string>& paths)
{
    run.order.runId = "run";
    run.order.stageId = "stage";
    run.order.cwd = (run.folder() / "ws").string();
    std::filesystem::create_directories(run.order.cwd);
    run.order.collect = CollectOrder{.program = STAGE_AGENT_BIN_DIR "/stage-collector",
                                     .store = store(run).string(),
                                     .name = "dist",
                                     .paths = paths,
                                     .maxBytes = std::int64_t{2} << 30,
                                     .timeoutMs = 60'000};
}

/// Another attempt of the same stage, in the same folder and workspace.
inline void again(ShimRun& run, int attempt)
{
    run.order.attempt = attempt;
    std::filesystem::remove(run.folder() / files::outcome);
    std::filesystem::remove(run.folder() / files::lock);
}

/// In place of the collector: a shell script.
inline void collectBy(ShimRun& run, const std::string& script)
{
    const auto program = run.folder() / "collector";
    std::ofstream(program) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    run.order.collect->program = program.string();
}

} // namespace agent::test
