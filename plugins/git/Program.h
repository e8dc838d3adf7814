#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace agent::git
{

/// A failure that is for the user to put right; its text is one line for the log.
class Failure: public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

/// How a program ended and what it said.
struct Ended
{
    int exitCode = -1; ///< 128 + N where signal N ended it
    std::string out;
    std::string errors; ///< without progress; of many lines the last ones

    [[nodiscard]] bool passed() const { return exitCode == 0; }

    /// git's own words in one line.
    [[nodiscard]] std::string why() const;
};

/// Runs `argv` with exactly `env`, stdin empty, and waits for its end. argv[0] is looked up in env's PATH.
/// Progress that it shows on stderr goes to stdout as a line each ten seconds, so that a long transfer
/// isn't taken for a stage that hangs. Descriptors without FD_CLOEXEC are inherited.
/// Errors: Failure when it can't be started.
Ended runProgram(const std::vector<std::string>& argv,
                 const std::map<std::string, std::string>& env);

} // namespace agent::git
