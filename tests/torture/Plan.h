#pragma once

#include "tests/torture/Rounds.h"

#include <string>
#include <vector>

namespace agent::test
{

/// A stage, and what must be true of it when it is over.
struct Plan
{
    std::string command; ///< of a shell; no double quote, no backslash
    std::string status = "SUCCESS";
    std::string cause = "EXIT";
    int exitCode = 0; ///< -1: none
    int attempts = 1; ///< executions
    bool says = true; ///< it comes to its own end, and so can say that it did
    std::string log = {};
    std::string options = {}; ///< more members of the stage's JSON, each with a comma in front
    bool leaves =
        false; ///< processes may outlive its command, which the log's last line tells then
};

/// Stages of every kind, each over in half a second or so: good and bad ends, signals, output, orphans,
/// retries, time and silence limits.
Plan anyPlan(Rounds& luck);

/// One to `atMost` of them: what one run shall do.
std::vector<Plan> anyPlans(Rounds& luck, int atMost);

} // namespace agent::test
