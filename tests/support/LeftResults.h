#pragma once

#include "tests/support/Daemon.h"
#include "tests/support/OtherBoot.h"
#include "tests/support/Stages.h"
#include "tests/support/StoredArtifacts.h"

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace agent::test
{

/// A run whose stages left files and test results, of any content: as their collectors leave them, and the engine then has them on record.
struct LeftResults
{
    Daemon& daemon;
    std::string run;
    std::vector<std::string> stages;

    /// Has a run of stages with these names end well, and stops the daemon.
    static LeftResults runOf(Daemon& daemon, const std::vector<std::string>& names)
    {
        daemon.start();
        std::string stages;
        for (const auto& name : names)
            stages += (stages.empty() ? "[" : ",") + shell("true", R"("name":")" + name + "\"");
        const std::string run = daemon.submit(stages + "]");
        return ended(daemon, run);
    }

    /// The same with a run that was started before.
    static LeftResults ended(Daemon& daemon, const std::string& run)
    {
        daemon.waitForRun(run, "SUCCESS");
        LeftResults left{.daemon = daemon, .run = run, .stages = daemon.stagesOf(run)};
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
        return left;
    }

    [[nodiscard]] std::filesystem::path attempt(std::size_t stage) const
    {
        return daemon.state() / "runs" / run.substr(0, 2) / run /
               (std::to_string(stage) + "-BUILD") / "1";
    }

    [[nodiscard]] StoredArtifacts kept(std::size_t stage, const std::string& name = "dist") const
    {
        return {.root = daemon.state() / "artifacts", .attempt = attempt(stage), .name = name};
    }

    /// The daemon must have ended.
    void leave(std::size_t stage, const std::map<std::string, std::string>& files,
               const std::string& name = "dist") const
    {
        const std::string digest = kept(stage, name).keep(files);
        std::size_t bytes = 0;
        for (const auto& [path, content] : files)
            bytes += content.size();
        set(stage, "artifact_files = " + std::to_string(files.size()) + ", artifact_bytes = " +
                       std::to_string(bytes) + ", artifact_manifest = '" + digest + "'");
        change("INSERT INTO artifact_sets (stage_id, attempt, run_id, name, bytes, created_at) "
               "SELECT id, attempt, run_id, 'dist', " +
               std::to_string(bytes) + ", ended_at FROM stages WHERE id = '" + stages[stage] + "'");
    }

    /// The daemon must have ended.
    void leaveResults(std::size_t stage, const std::string& json, int total, int failed) const
    {
        StoredArtifacts::write(attempt(stage) / "tests.json", json);
        set(stage, "tests_total = " + std::to_string(total) +
                       ", tests_failed = " + std::to_string(failed) + ", tests_skipped = 1");
    }

    /// The daemon must have ended.
    void change(const std::string& statement) const
    {
        changeRecord(daemon.state(), statement.c_str());
    }

private:
    void set(std::size_t stage, const std::string& columns) const
    {
        change("UPDATE stages SET " + columns + " WHERE id = '" + stages[stage] + "'");
    }
};

} // namespace agent::test
