#pragma once

#include "agent/wire/Order.h"
#include "tests/support/Daemon.h"
#include "tests/torture/Plan.h"
#include "tests/torture/Record.h"

#include <string>
#include <vector>

namespace agent::test
{

/// The model checker. It submits runs whose stages tell what they do to files outside the agent's reach,
/// and when the runs are over and the daemon has ended it compares the record with that, with the plan
/// and with what the shims left on disk.
class Trial
{
public:
    /// What may have happened to the shims meanwhile.
    enum class Shims
    {
        Safe, ///< nothing: each stage must have ended as planned
        Harmed ///< they were killed or refused: a stage may be lost, but never doubled nor beautified
    };

    explicit Trial(Daemon& daemon) : _daemon(daemon) {}

    /// Asks for a run. A daemon that dies meanwhile has it or not: ask again by submitOpen().
    void submit(const std::vector<Plan>& plans);

    /// Asks again for each run that got no answer, under its Idempotency-Key.
    void submitOpen();

    /// Whether all are over. The daemon must live.
    [[nodiscard]] bool over() const;

    /// Waits until they are. `alive` false on the way: returns; someone has to start the daemon again.
    void waitUntilOver() const;

    [[nodiscard]] std::vector<std::string> runs() const;

    /// The pid of the shim that has claimed an attempt of `run` and not ended it; 0 when there is none.
    [[nodiscard]] int shimOf(const std::string& run) const;

    /// Whether the stage `ordinal` of `run` has begun.
    [[nodiscard]] bool begun(const std::string& run, int ordinal) const;

    /// Errors: fails the test at the first thing that is not true. The daemon must have ended.
    void verify(Shims shims);

    /// The folder of a stage's attempt.
    [[nodiscard]] std::filesystem::path attempt(const std::string& run, const StageRow& stage,
                                                int attempt) const;

private:
    struct Asked
    {
        std::string key;
        std::string body;
        std::string id; ///< empty: no answer yet
        std::vector<Plan> plans;
        std::filesystem::path deeds; ///< where its stages tell what they do
    };

    void ask(Asked& asked) const;
    void verifyRun(const Record& record, const Asked& asked, Shims shims) const;
    void verifyStage(const std::string& where, const Asked& asked, const StageRow& stage,
                     Shims shims) const;
    [[nodiscard]] Outcome verifiedOutcome(const std::string& where, const Asked& asked,
                                          const StageRow& stage) const;
    static void verifySteps(const std::string& where, const Record& record, const StageRow& stage);
    void verifyNothingLeft() const;

    Daemon& _daemon;
    std::vector<Asked> _asked;
    int _count = 0;
};

} // namespace agent::test
