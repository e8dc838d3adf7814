#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// A program that is run for what it says.
struct ProgramCall
{
    std::vector<std::string> argv; ///< the first one is a path
    std::chrono::milliseconds timeout{10'000};
    std::size_t mostBytes = 65'536; ///< of each output; what comes after it is read and dropped
    bool endWhenFull = false;       ///< one that says more is killed instead
    std::size_t mostMemory = 0;     ///< RLIMIT_DATA of each of its processes, in bytes; 0: ours
    int stop = -1;                  ///< it is killed when this descriptor can be read; -1: none
    std::optional<std::vector<std::string>> environment = {}; ///< each `NAME=VALUE`; none: ours
};

/// How it ended and what it said.
struct ProgramEnd
{
    int exitCode = -1;    ///< -1: a signal ended it
    int signal = 0;       ///< 0: it ended by itself
    bool late = false;    ///< it did not end in time, so it was killed
    bool tooMuch = false; ///< it said too much, so it was killed
    bool stopped = false; ///< we were to stop, so it was killed
    std::string out;
    std::string err;

    [[nodiscard]] bool passed() const { return exitCode == 0; }

    /// `exit code 3`, `signal 11`, `no end within 10 s`, with the last line that it wrote to stderr.
    [[nodiscard]] std::string describe() const;
};

/// Runs a program in a process group of its own, with empty stdin and fresh signals, until it has ended.
/// What is left of the group then, or at the end of `timeout`, is killed: nothing of it stays. Who keeps
/// its outputs open elsewhere is not waited for.
/// Errors: std::system_error when it can't be started.
/// Blocks: for `timeout` at most. Threads: any.
ProgramEnd runProgram(const ProgramCall& call);

/// The program of this name in a list of folders such as $PATH; empty when none can be executed.
std::filesystem::path findProgram(const std::string& name, const std::string& folders);

/// Becomes the program at `path` with these arguments; stdin, stdout, stderr and every signal are its own then.
/// Returns only where it can't be executed; errno says why.
void becomeProgram(const std::filesystem::path& path, const std::vector<std::string>& arguments);

} // namespace agent
