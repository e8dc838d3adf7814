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
    std::vector<std::string> agents;      ///< of the command line; empty: not given
    std::string tokenFile;                ///< likewise
    std::string config;                   ///< the agent's file; empty: the installed one
    std::vector<std::string> definitions; ///< each `KEY=VALUE`, as for the agent's -D
    bool record = false;                  ///< read the whole record too
};

/// Looks at the agent over its API, has the stage-agent program of this host look at the host, and prints
/// what was found. Shape: Failed when one check failed; what can't be looked at is a finding.
Exit examine(const DoctorRequest& request, const Terminal& terminal, bool json);

/// The findings for a person: a line each, and below it what to do.
std::string described(const Findings& findings, const Terminal& terminal);

/// For a program: an array of objects `{check, status, seen, advice}`.
std::string toJson(const Findings& findings);

} // namespace agent::ctl
