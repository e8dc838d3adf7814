#pragma once

#include <rapidjson/document.h>

#include <string>

namespace agent::ctl
{

/// Returns `3 of 412 failed, 2 skipped` for counts of tests, as a run, a stage and the API's test results have them; `412 passed` where
/// none failed.
std::string testsWords(const rapidjson::Value& counts);

/// Returns `3 of 412 failed` of the tests of a run or stage; empty where none failed.
std::string failedTests(const rapidjson::Value& runOrStage);

/// Returns the status of a stage in the shape of the detail view, with what changes its meaning: `SUCCESS (skipped)`,
/// `SUCCESS (accepted)`, `IN_PROGRESS (stuck)`; `IDLE (skipped)`: its `when` does not hold. `runEnded`: what has not begun will not.
std::string stageStatus(const rapidjson::Value& stage, bool runEnded);

/// Returns the status of a run likewise: `IN_PROGRESS (stuck)`.
std::string runStatus(const rapidjson::Value& run);

/// Returns why a stage is as it is, in words: `exit code 3`, `exceeded its time limit: …`; empty if the status is
/// enough.
std::string stageWhy(const rapidjson::Value& stage);

/// Returns the words for a cause alone, as the dashboard has them.
std::string causeWords(const std::string& cause);

/// Returns the name of a stage, or its type where it has no name of its own.
std::string stageTitle(const rapidjson::Value& stage);

} // namespace agent::ctl
