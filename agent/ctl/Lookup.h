#pragma once

#include "agent/ctl/Agents.h"

#include <string>

namespace agent::ctl
{

/// What an id on the command line refers to.
struct Target
{
    enum class Kind
    {
        Run,
        Stage
    };
    Kind kind = Kind::Run;
    std::string id;
    const Client* client = nullptr; ///< of the agent that has it; owned by the Agents, never null
};

/// Why it is looked up. For a change, a prefix is ambiguous while an agent does not answer.
enum class Use
{
    Read,
    Change
};

/// Return the run or stage that is meant by `name`:
///  - a UUID, or a prefix of at least 6 characters, searched among all runs of each agent, and the stages of its newest
///    100 runs;
///  - the name of a service: its newest run (with several agents that have one: the newest of all to read; a change is
///    refused);
///  - of a stage: `RUN/PART`, where RUN is one of the above and PART as of stageOf(); and a run alone, which
///    chooses a stage as stageOf() does.
/// The UUID of a run is not verified with a single agent.
/// Errors: Failure Usage if it is neither, or matches more than one (the message lists them); NotFound;
/// if an agent that may have it did not answer, that agent's Failure.
Target findRun(const Agents& agents, const std::string& name, Use use);
Target findStage(const Agents& agents, const std::string& name, Use use);

/// As above, for a run or a stage; a UUID is looked up to find out which. A run alone is the run.
Target findRunOrStage(const Agents& agents, const std::string& name, Use use);

/// Returns the id of a service, given by name or id. Errors: Failure NotFound.
std::string findService(const Client& client, const std::string& name);

/// Returns the agent that has the service, given by name or id; a single agent is not asked.
/// Errors: Failure Usage if several have it; NotFound; if an agent did not answer, that agent's.
const Client& findAgentOf(const Agents& agents, const std::string& service);

} // namespace agent::ctl
