#pragma once

#include "agent/ctl/Agents.h"

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
    const Client* client = nullptr; ///< of the agent that has it, one of the Agents'; never null
};

/// What it is looked for: to change it, a beginning of an id must fit on no agent that is silent now.
enum class Use
{
    Look,
    Change
};

/// The run or stage a person named: a full UUID (not asked for here, where there is one agent), or the
/// first characters, at least 6, looked for among all of each agent's runs, or the stages of its newest
/// 100.
/// Errors: Failure Usage when it is neither, or fits more than one (the message lists them); NotFound;
/// where agents gave no answer and may have it, theirs.
Target findRun(const Agents& agents, const std::string& name, Use use);
Target findStage(const Agents& agents, const std::string& name, Use use);

/// As above where a run or a stage may be named; a full UUID is asked for to know which.
Target findRunOrStage(const Agents& agents, const std::string& name, Use use);

/// The id of a service by name or id. Errors: Failure NotFound.
std::string findService(const Client& client, const std::string& name);

/// The one agent that has the service, by name or id; one agent alone is not asked.
/// Errors: Failure Usage when several have it; NotFound; where agents gave no answer, theirs.
const Client& findAgentOf(const Agents& agents, const std::string& service);

} // namespace agent::ctl
