#include "agent/ctl/StageWords.h"

#include "agent/ctl/Json.h"

#include <map>

namespace agent::ctl
{

std::string stageStatus(const rapidjson::Value& stage, bool runEnded)
{
    std::string status = text(stage, "status");
    const std::string cause = text(stage, "cause");
    if (status == "SUCCESS" && cause == "SKIPPED")
        return status + " (skipped)";
    if (status == "SUCCESS" && cause == "OPERATOR")
        return status + " (accepted)";
    if (status == "IN_PROGRESS" && !text(stage, "stuckSince").empty())
        return status + " (stuck)";
    if (status == "IDLE" && !text(stage, "skipped").empty())
        return status + " (skipped)";
    if (status == "IDLE" && runEnded)
        return status + " (not run)";
    return status;
}

std::string runStatus(const rapidjson::Value& run)
{
    const rapidjson::Value* current = member(run, "currentStage");
    const bool stuck = current != nullptr && !text(*current, "stuckSince").empty();
    return text(run, "status") + (stuck ? " (stuck)" : "");
}

std::string causeWords(const std::string& cause)
{
    // As in agent/dashboard/words.js.
    static const std::map<std::string, std::string> words{
        {"EXTERNAL", "ended externally"},
        {"TIMEOUT", "exceeded its time limit"},
        {"SILENT", "no output for too long"},
        {"STOPPED", "the run was stopped"},
        {"SUPERSEDED", "a newer run took its place"},
        {"REJECTED", "the approval was rejected"},
        {"EXPIRED", "nobody approved it in time"},
        {"OPERATOR", "ended by an operator"},
        {"SKIPPED", "skipped by an operator"},
        {"OOM", "out of memory, killed by the kernel"},
        {"DISK_FULL", "the disk was full"},
        {"ARTIFACTS", "files to keep, or reports, are missing or were left out"},
        {"NEEDS", "what it needs of another service"},
        {"LOG_LIMIT", "the log reached its limit"},
        {"LOG_CUT_BY_POWER_LOSS", "a power cut took the end of the log"},
        {"OUTCOME_REFUSED", "its outcome was not written by its shim"},
        {"LEFT_BEHIND", "processes that it left behind were ended"},
        {"SHIM_STOPPED", "another process had stopped its shim"},
        {"PIPELINE", "the repository's pipeline file"},
        {"PLUGIN_MISSING", "the plugin is missing"},
        {"PLUGIN_ERROR", "the plugin failed"},
        {"SPAWN_ERROR", "could not be started"},
        {"SHIM_LOST", "its shim was lost"},
        {"HOST_REBOOT", "the host rebooted"}};
    const auto found = words.find(cause);
    return found == words.end() ? cause : found->second;
}

std::string stageWhy(const rapidjson::Value& stage)
{
    if (std::string stuck = text(stage, "stuckWhy"); !stuck.empty())
        return stuck;
    if (std::string skipped = text(stage, "skipped"); !skipped.empty())
        return skipped;
    const std::string cause = text(stage, "cause");
    const std::string message = text(stage, "message");
    const std::string exitCode = text(stage, "exitCode");
    if (cause == "EXIT")
    {
        std::string failed = failedTests(stage);
        if (exitCode == "0")
            return failed;
        return (failed.empty() ? "" : failed + ", ") + "exit code " + exitCode;
    }
    if (cause == "SIGNAL")
        return "ended by signal " + text(stage, "signal");
    std::string why = cause.empty() ? "" : causeWords(cause);
    if (cause == "OPERATOR" && text(stage, "status") == "SUCCESS")
        why = "set to success by an operator";
    if (!message.empty() && message != why)
        why += (why.empty() ? "" : ": ") + message;
    return why;
}

std::string testsWords(const rapidjson::Value& counts)
{
    const auto total = number(counts, "total").value_or(0);
    const auto failed = number(counts, "failed").value_or(0);
    const auto skipped = number(counts, "skipped").value_or(0);
    std::string words = failed > 0
                            ? std::to_string(failed) + " of " + std::to_string(total) + " failed"
                            : std::to_string(total - skipped) + " passed";
    if (skipped > 0)
        words += ", " + std::to_string(skipped) + " skipped";
    return words;
}

std::string failedTests(const rapidjson::Value& runOrStage)
{
    const rapidjson::Value* tests = member(runOrStage, "tests");
    return tests != nullptr && number(*tests, "failed").value_or(0) > 0
               ? text(*tests, "failed") + " of " + text(*tests, "total") + " failed"
               : "";
}

std::string stageTitle(const rapidjson::Value& stage)
{
    const std::string name = text(stage, "name");
    return name.empty() ? text(stage, "type") : name;
}

} // namespace agent::ctl
