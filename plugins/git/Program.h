#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace agent::git
{

/// An error that the user can correct; its text is one line for the log.
class Failure: public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

/// The result of a program.
struct Ended
{
    int exitCode = -1; ///< 128 + N if killed by signal N
    std::string out;
    std::string errors; ///< stderr without progress; the last lines if there are many

    [[nodiscard]] bool passed() const { return exitCode == 0; }

    /// Returns git's error message as one line.
    [[nodiscard]] std::string why() const;
};

/// What a program gets of this process's open files.
enum class Descriptors
{
    Inherited, ///< those without FD_CLOEXEC, such as the lock of a mirror
    Standard   ///< 0 to 2 only
};

/// Runs `argv` with exactly `env`, and waits for its end. argv[0] is looked up in env's PATH. `passed`: of this process's
/// files, also those with FD_CLOEXEC that it is to have. `input`: what its stdin is; -1: empty.
/// Its progress on stderr is printed to stdout as a line every ten seconds, so that a long transfer does not look
/// stuck.
/// Errors: Failure if it can't be started.
Ended runProgram(const std::vector<std::string>& argv,
                 const std::map<std::string, std::string>& env,
                 Descriptors descriptors = Descriptors::Inherited,
                 const std::vector<int>& passed = {}, int input = -1);

} // namespace agent::git
