#pragma once

#include "agent/ctl/Client.h"

#include <string>

namespace agent::ctl
{

/// What an id on the command line turned out to be.
struct Target
{
    enum class Kind
    {
        Run,
        Stage
    };
    Kind kind = Kind::Run;
    std::string id;
};

/// The run or stage a person named: a full UUID (not asked for here), or the first characters, at least
/// 6, looked for among the newest 1000 runs, or the stages of the newest 100.
/// Errors: Failure Usage when it is neither, or fits more than one (the message lists them); NotFound.
std::string findRun(const Client& client, const std::string& name);
std::string findStage(const Client& client, const std::string& name);

/// As above where a run or a stage may be named; a full UUID is asked for to know which.
Target findRunOrStage(const Client& client, const std::string& name);

/// The id of a service by name or id. Errors: Failure NotFound.
std::string findService(const Client& client, const std::string& name);

} // namespace agent::ctl
