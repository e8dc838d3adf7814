#pragma once

#include <stdexcept>
#include <string>

namespace agent::ctl
{

/// The exit codes of stagectl; a contract with scripts, listed in `--help`.
enum class Exit : int
{
    Ok = 0,
    Failed = 1,      ///< the followed run ended in FAILURE, or the doctor found a fault
    Usage = 2,       ///< wrong command line, configuration or output
    Refused = 3,     ///< the agent refused the request (4xx)
    NotFound = 4,    ///< no such run, stage or service
    Conflict = 5,    ///< not possible in the present state (409, 412)
    Unreachable = 6, ///< no connection, or no answer in time
    AgentFailed = 7  ///< the agent failed (5xx), or the answer is not a stage-agent's
};

/// Ends the command with an exit code and a message, which is printed after `stagectl: `.
class Failure: public std::runtime_error
{
public:
    Failure(Exit exit, const std::string& message) : std::runtime_error(message), _exit(exit) {}

    [[nodiscard]] Exit exit() const { return _exit; }

private:
    Exit _exit;
};

} // namespace agent::ctl
