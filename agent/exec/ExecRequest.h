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

/// The exit codes of `stage-agent --exec`, which are stagectl's.
enum class ExecExit : int
{
    Succeeded = 0,
    Failed = 1,        ///< the stage, or a PREPARE stage before it
    Usage = 2,         ///< invalid command line or configuration, or no usable folder
    NotFound = 4,      ///< no such service or stage
    Interrupted = 130, ///< also by TERM and HUP
    NobodyReads = 141  ///< as a program killed by SIGPIPE
};

/// Why nothing is executed: `what()` is the message.
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

/// The options of `stage-agent --exec`.
struct ExecRequest
{
    std::string service; ///< name or id
    std::string stage;   ///< name, type or number
    std::string commit;
    std::string branch;
    std::map<std::string, std::string> env;
    std::filesystem::path workspace; ///< empty: a temporary one, filled by the PREPARE stages
    std::filesystem::path
        from; ///< copied into the temporary workspace, in place of what stages before make
    bool withBefore = false; ///< not only the PREPARE stages before it: all but deployments
    bool keep = false;
    bool raw = false;
    bool sure = false; ///< --yes: allows deployments and emptying the workspace

    static void defineOptions(Poco::Util::OptionSet& options);

    /// Takes one option. Returns false if it is another option. Errors: reported by check().
    bool take(const std::string& name, const std::string& value);

    /// Returns whether any of the options was given.
    [[nodiscard]] bool given() const { return _wanted || !_stray.empty(); }

    /// Takes the arguments after the options and checks everything.
    /// Errors: ExecRefusal Usage.
    void check(const std::vector<std::string>& arguments);

private:
    bool _wanted = false;
    std::vector<std::string> _env; ///< each `NAME=VALUE`, not yet checked
    std::string _stray;            ///< one of the options, to be refused without --exec
};

} // namespace agent
