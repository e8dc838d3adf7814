#pragma once

#include "tests/support/Stages.h"

#include <cppunit/TestFixture.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace agent::test
{

/// An outcome that says SUCCESS, whole but for the seal.
inline const std::string forgedOutcome =
    R"({"version":1,"cause":"EXIT","exitCode":0,"startedAt":1,"endedAt":2,"durationMs":1,)"
    R"("message":"","containment":"subreaper","notes":[],"logBytes":0,"usage":{}})";

/// The shell's `$d`, the attempt's folder, and `put FILE`, which leaves a forged outcome there.
inline const std::string hostileWords =
    "d=$(dirname $STAGE_OUTPUTS); put() { printf '%s' '" + forgedOutcome + "' > $1; }; ";

/// The processes with these arguments, written without a gap.
inline std::vector<int> processesWith(const std::string& arguments)
{
    std::vector<int> pids;
    for (const auto& entry : std::filesystem::directory_iterator("/proc"))
    {
        std::string line = contentOf(entry.path() / "cmdline");
        std::erase(line, '\0');
        if (line == arguments)
            pids.push_back(std::atoi(entry.path().filename().c_str()));
    }
    return pids;
}

/// A daemon, and a run whose one stage means harm to what belongs to its attempt.
class HostileStage: public CppUnit::TestFixture
{
public:
    void setUp() override
    {
        _daemon = std::make_unique<Daemon>();
        _daemon->start();
    }
    void tearDown() override { _daemon.reset(); }

protected:
    /// Submits the run. Returns its stage.
    std::string submit(const std::string& stage)
    {
        _run = _daemon->submit(listOf({stage}));
        return _daemon->stagesOf(_run)[0];
    }

    /// Whether `_run` has ended.
    [[nodiscard]] bool over() const
    {
        const auto status = _daemon->statusOf(_run);
        return status == "SUCCESS" || status == "FAILURE";
    }

    [[nodiscard]] std::filesystem::path attempt() const { return attemptOf(*_daemon, _run); }
    [[nodiscard]] std::filesystem::path workspace() const
    {
        return _daemon->state() / "runs" / _run.substr(0, 2) / _run / "workspace";
    }

    /// Makes the file `go`, for which the stage waits.
    void letGo() const { std::ofstream(workspace() / "go") << "\n"; }

    std::unique_ptr<Daemon> _daemon;
    std::string _run;
};

} // namespace agent::test
