#pragma once

#include <stdexcept>
#include <string>

namespace agent::ctl
{

/// How stagectl ends; the numbers are a contract with scripts and stand in `--help`.
enum class Exit : int
{
    Ok = 0,
    Failed = 1,      ///< the run that was followed ended in FAILURE; the doctor found a fault
    Usage = 2,       ///< wrong command line, configuration or output
    Refused = 3,     ///< the agent refused the request (4xx)
    NotFound = 4,    ///< no such run, stage or service
    Conflict = 5,    ///< not possible in the present state (409, 412)
    Unreachable = 6, ///< no connection, or no answer in time
    AgentFailed = 7  ///< the agent failed (5xx), or the answer is not one of a stage-agent
};

/// Ends the command: `what()` is what the person reads, without the `stagectl: ` in front.
class Failure: public std::runtime_error
{
public:
    Failure(Exit exit, const std::string& message) : std::runtime_error(message), _exit(exit) {}

    [[nodiscard]] Exit exit() const { return _exit; }

private:
    Exit _exit;
};

} // namespace agent::ctl
