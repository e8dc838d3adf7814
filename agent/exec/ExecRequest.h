#pragma once

#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace Poco::Util
{
class OptionSet;
}

namespace agent
{

/// How `stage-agent --exec` ends; the numbers are stagectl's.
enum class ExecExit : int
{
    Succeeded = 0,
    Failed = 1,        ///< the stage, or a PREPARE stage before it
    Usage = 2,         ///< wrong command line or configuration, or no place to do it
    NotFound = 4,      ///< no such service or stage
    Interrupted = 130, ///< also by TERM and HUP
    NobodyReads = 141  ///< as a program that SIGPIPE ends
};

/// Why nothing is executed: `what()` is for a person, each line a sentence.
class ExecRefusal: public std::runtime_error
{
public:
    ExecRefusal(ExecExit exit, const std::string& message)
        : std::runtime_error(message), _exit(exit)
    {
    }

    [[nodiscard]] ExecExit exit() const { return _exit; }

private:
    ExecExit _exit;
};

/// What `stage-agent --exec` is to do, from its options.
struct ExecRequest
{
    std::string service; ///< name or id
    std::string stage;   ///< name, type or number
    std::string commit;
    std::string branch;
    std::map<std::string, std::string> env;
    std::filesystem::path workspace; ///< empty: one of its own, made by the PREPARE stages
    bool keep = false;
    bool raw = false;
    bool sure = false; ///< also a deployment, also to empty the workspace

    static void defineOptions(Poco::Util::OptionSet& options);

    /// Takes one option. Shape: false when it is none of these. Errors: nothing yet; see check().
    bool take(const std::string& name, const std::string& value);

    /// Any of the options was there.
    [[nodiscard]] bool given() const { return _wanted || !_stray.empty(); }

    /// Takes what stands behind the options and checks all of it.
    /// Errors: ExecRefusal Usage.
    void check(const std::vector<std::string>& arguments);

private:
    bool _wanted = false;
    std::vector<std::string> _env; ///< each `NAME=VALUE`, not yet checked
    std::string _stray;            ///< one of the options, to be refused without --exec
};

} // namespace agent
