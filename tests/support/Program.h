#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace agent::test
{

/// How a program ended and what it wrote.
struct Ended
{
    int exitCode = 0; ///< negative: the signal that ended it
    std::string out;
    std::string err;
};

/// The words as exec and its like want them, a null behind the last. Owner: `words`, while it stays as it is.
std::vector<char*> pointersTo(const std::vector<std::string>& words);

/// Returns our PATH, the token and `environment`, each `NAME=VALUE`.
std::vector<std::string> variablesWith(const std::map<std::string, std::string>& environment);

/// Runs a program to its end: stdin /dev/null, outputs in files of `folder`, which is its working
/// directory too. `environment` is all of it besides our PATH and, for stagectl, the token of the daemon that
/// was started last; with another STAGE_AGENT_TOKEN, an empty one too, without that.
/// Errors: fails the test when it can't be started or takes over 60 s; it is killed then.
Ended runProgram(const std::vector<std::string>& arguments, const std::filesystem::path& folder,
                 const std::map<std::string, std::string>& environment = {});

} // namespace agent::test
