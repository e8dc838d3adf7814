#include "tests/torture/Trial.h"

#include "tests/torture/Survivors.h"

#include <Poco/Exception.h>

#include <cppunit/TestAssert.h>

#include <algorithm>
#include <sstream>

namespace agent::test
{

namespace fs = std::filesystem;

namespace
{

/// Begin and end of a stage, reported by itself.
std::string telling(const Plan& plan, int ordinal, const fs::path& deeds)
{
    const auto tell = [&](const char* what)
    { return "echo " + std::string(what) + std::to_string(ordinal) + " >> " + deeds.string(); };
    return tell("b") + "; c=0; (" + plan.command + ") || c=$?; " + tell("e") + "; exit $c";
}

/// What a stage tells when it goes as planned.
std::string expectedDeeds(const Plan& plan, int ordinal)
{
    std::string deeds;
    for (int i = 0; i < plan.attempts; ++i)
        deeds += "b" + std::to_string(ordinal) + "\n" +
                 (plan.says ? "e" + std::to_string(ordinal) + "\n" : "");
    return deeds;
}

int begins(const std::string& deeds, int ordinal)
{
    std::istringstream lines(deeds);
    int count = 0;
    for (std::string line; std::getline(lines, line);)
        count += line == "b" + std::to_string(ordinal) ? 1 : 0;
    return count;
}

/// The log without the shim's word on processes that the command left behind, where the plan has any.
std::string commandsOwn(const Plan& plan, std::string log)
{
    const std::size_t last = log.rfind("[stage-agent: ended ");
    if (plan.leaves && last != std::string::npos && log.find('\n', last) == log.size() - 1)
        log.resize(last);
    return log;
}

bool inOrder(const std::string& deeds)
{
    std::istringstream lines(deeds);
    int last = 0;
    for (std::string line; std::getline(lines, line);)
    {
        const int ordinal = std::atoi(line.c_str() + 1);
        if (ordinal < last)
            return false;
        last = ordinal;
    }
    return true;
}

} // namespace

void Trial::submit(const std::vector<Plan>& plans)
{
    Asked& asked = _asked.emplace_back();
    asked.key = "trial-" + std::to_string(_count++);
    asked.plans = plans;
    asked.deeds = _daemon.folder() / ("deeds-" + asked.key);
    std::string stages;
    for (std::size_t i = 0; i < plans.size(); ++i)
        stages += (i == 0 ? "" : ",") +
                  std::string(R"({"type":"OTHER","plugin":"shell","with":{"command":")") +
                  telling(plans[i], static_cast<int>(i), asked.deeds) + "\"}" + plans[i].options +
                  "}";
    asked.body = R"({"pipeline":)" + _daemon.pipeline("[" + stages + "]") + "}";
    ask(asked);
}

void Trial::ask(Asked& asked) const
{
    try
    {
        const Answer answer =
            _daemon.request("POST", "/api/runs", asked.body, {{"Idempotency-Key", asked.key}});
        if (answer.status == 201 || answer.status == 200)
            asked.id = answer.json()["id"].GetString();
        else
            CPPUNIT_ASSERT_MESSAGE(
                answer.body,
                answer.status == 503 || // 429: disk_low
                    (answer.status == 429 && answer.body.find("disk_low") != std::string::npos));
    }
    catch (const Poco::Exception&)
    {
        // It died before it answered.
    }
}

void Trial::submitOpen()
{
    for (Asked& asked : _asked)
        if (asked.id.empty())
            waitFor("a run to be taken",
                    [&]
                    {
                        ask(asked);
                        return !asked.id.empty();
                    });
}

bool Trial::over() const
{
    return std::all_of(_asked.begin(), _asked.end(),
                       [this](const Asked& asked)
                       {
                           const std::string status =
                               asked.id.empty() ? "" : _daemon.statusOf(asked.id);
                           return status == "SUCCESS" || status == "FAILURE";
                       });
}

void Trial::waitUntilOver() const
{
    waitFor(
        "the end of all runs", [this] { return over(); }, 60);
}

std::vector<std::string> Trial::runs() const
{
    std::vector<std::string> ids;
    for (const Asked& asked : _asked)
        ids.push_back(asked.id);
    return ids;
}

fs::path Trial::attempt(const std::string& run, const StageRow& stage, int attempt) const
{
    return _daemon.state() / "runs" / run.substr(0, 2) / run /
           (std::to_string(stage.ordinal) + "-" + stage.type) / std::to_string(attempt);
}

int Trial::shimOf(const std::string& run) const
{
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(
             _daemon.state() / "runs" / run.substr(0, 2) / run, ignored))
    {
        if (entry.path().filename() != files::lock ||
            fs::exists(entry.path().parent_path() / files::outcome))
            continue;
        if (const auto claim = claimFrom(contentOf(entry.path())))
            return claim->pid;
    }
    return 0;
}

bool Trial::begun(const std::string& run, int ordinal) const
{
    return std::any_of(_asked.begin(), _asked.end(),
                       [&](const Asked& asked)
                       { return asked.id == run && begins(contentOf(asked.deeds), ordinal) > 0; });
}

void Trial::verify(Shims shims)
{
    const Record record(_daemon.state(), _daemon.folder() / "record-copy.db");
    record.assertWhole();
    for (const Asked& asked : _asked)
        verifyRun(record, asked, shims);
    verifyNothingLeft();
    _asked.clear();
}

void Trial::verifyRun(const Record& record, const Asked& asked, Shims shims) const
{
    const auto run = record.run(asked.id);
    CPPUNIT_ASSERT_MESSAGE("run " + asked.key + " was lost", run.has_value());
    const auto stages = record.stages(asked.id);
    CPPUNIT_ASSERT_EQUAL(asked.plans.size(), stages.size());
    const std::string deeds = contentOf(asked.deeds);
    bool failed = false;
    std::string expected;
    std::int64_t lastEnd = 0;
    for (std::size_t i = 0; i < stages.size(); ++i)
    {
        const StageRow& stage = stages[i];
        const std::string where = asked.key + ", stage " + std::to_string(i) + " (" +
                                  asked.plans[i].command + ") is " + stage.status + " " +
                                  stage.cause + ", attempt " + std::to_string(stage.attempt) +
                                  "; reported:\n" + deeds + "\n";
        if (failed)
        {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where, std::string("IDLE"), stage.status);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where + "ran after a failure", 0,
                                         begins(deeds, stage.ordinal));
            continue;
        }
        verifyStage(where, asked, stage, shims);
        verifySteps(where, record, stage);
        CPPUNIT_ASSERT_MESSAGE(where + "ends before it starts", stage.startedAt <= stage.endedAt);
        CPPUNIT_ASSERT_MESSAGE(where + "starts before the last one ended",
                               lastEnd <= stage.startedAt);
        lastEnd = stage.endedAt;
        expected += expectedDeeds(asked.plans[i], stage.ordinal);
        failed = stage.status == "FAILURE";
    }
    CPPUNIT_ASSERT_EQUAL_MESSAGE(asked.key, std::string(failed ? "FAILURE" : "SUCCESS"),
                                 run->status);
    CPPUNIT_ASSERT_MESSAGE(asked.key + " ends before it starts", run->startedAt <= run->endedAt);
    CPPUNIT_ASSERT_MESSAGE(asked.key + " is out of order:\n" + deeds, inOrder(deeds));
    if (shims == Shims::Safe)
        CPPUNIT_ASSERT_EQUAL_MESSAGE(asked.key + " did", expected, deeds);
}

void Trial::verifyStage(const std::string& where, const Asked& asked, const StageRow& stage,
                        Shims shims) const
{
    const Plan& plan = asked.plans[static_cast<std::size_t>(stage.ordinal)];
    const int executed = begins(contentOf(asked.deeds), stage.ordinal);
    const bool refused = stage.cause == "SPAWN_ERROR" || stage.cause == "DISK_FULL";
    if (shims == Shims::Harmed && (stage.cause == "SHIM_LOST" || refused))
    {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(where, std::string("FAILURE"), stage.status);
        CPPUNIT_ASSERT_MESSAGE(where + "executed more often than tried", executed <= stage.attempt);
        if (stage.cause == "SPAWN_ERROR")
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where + "executed, it says it was not", stage.attempt - 1,
                                         executed);
        return;
    }
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where + "executions", plan.attempts, executed);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where, plan.status, stage.status);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where, plan.cause, stage.cause);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where + "exit code", plan.exitCode, stage.exitCode);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where + "signal", plan.cause == "SIGNAL" ? 9 : -1, stage.signal);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where, plan.attempts, stage.attempt);
    const Outcome outcome = verifiedOutcome(where, asked, stage);
    const bool cut = shims == Shims::Harmed && !outcome.notes.empty();
    if (!cut) // else it says itself that the log is not whole
        CPPUNIT_ASSERT_EQUAL_MESSAGE(
            where + "log", plan.log,
            commandsOwn(plan, contentOf(attempt(asked.id, stage, stage.attempt) / files::log)));
}

/// The record says what the shim left on disk, to the millisecond.
Outcome Trial::verifiedOutcome(const std::string& where, const Asked& asked,
                               const StageRow& stage) const
{
    const auto folder = attempt(asked.id, stage, stage.attempt);
    const auto outcome = outcomeFrom(contentOf(folder / files::outcome));
    CPPUNIT_ASSERT_MESSAGE(where + "has no outcome", outcome.has_value());
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where, std::string(toString(outcome->cause)), stage.cause);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where + "startedAt", outcome->startedAt, stage.startedAt);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where + "endedAt", outcome->endedAt, stage.endedAt);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where + "duration", outcome->endedAt - outcome->startedAt,
                                 outcome->durationMs);
    return *outcome;
}

/// IDLE, IN_PROGRESS, and so on to the end, without a gap or a fork.
void Trial::verifySteps(const std::string& where, const Record& record, const StageRow& stage)
{
    std::string status = "IDLE";
    std::string reported;
    int starts = 0;
    for (const auto& step : record.steps(stage.id))
    {
        reported += step + " ";
        const auto mark = step.find('>');
        CPPUNIT_ASSERT_EQUAL_MESSAGE(where + reported, status, step.substr(0, mark));
        status = step.substr(mark + 1);
        starts += status == "IN_PROGRESS" ? 1 : 0;
    }
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where + reported, stage.status, status);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(where + reported + "starts", stage.attempt, starts);
}

void Trial::verifyNothingLeft() const
{
    std::vector<std::string> marks;
    for (const Asked& asked : _asked)
    {
        marks.push_back("RUN_ID=" + asked.id);
        std::error_code ignored;
        for (const auto& entry : fs::recursive_directory_iterator(
                 _daemon.state() / "runs" / asked.id.substr(0, 2) / asked.id, ignored))
            if (entry.path().filename() == files::order)
                if (const auto order = orderFrom(contentOf(entry.path()));
                    order && !order->cgroup.empty())
                    CPPUNIT_ASSERT_EQUAL_MESSAGE(order->cgroup, std::string(),
                                                 contentOf(order->cgroup + "/cgroup.procs"));
    }
    const auto left = living(marks);
    std::string all;
    for (const auto& process : left)
        all += process + "\n";
    CPPUNIT_ASSERT_EQUAL_MESSAGE("processes left", std::string(), all);
}

} // namespace agent::test
