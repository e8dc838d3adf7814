#pragma once

#include "agent/ctl/Failure.h"
#include "agent/ctl/Terminal.h"
#include "agent/model/Finding.h"

#include <string>
#include <vector>

namespace agent::ctl
{

struct DoctorRequest
{
    std::vector<std::string> agents; ///< from the command line; may be empty
    std::string tokenFile;           ///< likewise
    std::string caFile;              ///< likewise
    std::string config;              ///< the agent's configuration file; empty: the installed one
    std::vector<std::string> definitions; ///< each `KEY=VALUE`, as for the agent's -D
    bool record = false;                  ///< read the whole record too
};

/// Checks the agents over their API and the host with its `stage-agent --doctor`, and prints the findings.
/// Returns Failed if a check failed. A check that can't be done is a finding, not an error.
Exit runDoctor(const DoctorRequest& request, const Terminal& terminal, bool json);

/// Returns the findings as text: a line each, with the advice below.
std::string described(const Findings& findings, const Terminal& terminal);

/// Returns a JSON array of `{check, status, seen, advice}`.
std::string toJson(const Findings& findings);

} // namespace agent::ctl
