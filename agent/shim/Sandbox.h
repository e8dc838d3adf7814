#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/shim/ChildProcess.h"
#include "agent/wire/Order.h"

#include <memory>
#include <optional>
#include <string>

namespace agent
{

/// The descriptors of the sandbox's first process, `stage-shim --first-process`, which gets them through bubblewrap.
namespace sandboxed
{
constexpr int report = 3; ///< a pipe for what becomes of the command; only it has that
constexpr int invocation =
    4; ///< a memfd: a byte, whether the stage is to end, and what to execute (toText())
constexpr int output = 5;  ///< the command's stdout
constexpr int errors = 6;  ///< and stderr
constexpr int program = 7; ///< our own program
constexpr const char* argument = "--first-process";

constexpr char goesOn = '0';
constexpr char isToEnd = '1';

/// What it reports, once.
enum class Kind : int
{
    Ended, ///< `status` is the command's wait status; leftBehindLine() follows
    Failed ///< nothing was executed; a text follows
};
struct Report
{
    Kind kind = Kind::Failed;
    int status = 0;
};
} // namespace sandboxed

/// The sandbox of one command: bubblewrap, and in it our own program as the first process of a pid namespace, which
/// executes the command and reports its wait status. Bubblewrap itself tells too little: its exit code is 1 where it
/// failed, and 128 + n for a command that was killed by a signal.
///
/// What the stage can't do: signal that first process (the kernel keeps signals from a first process), trace it or
/// read its descriptors (it is not dumpable), or inherit the pipe of the report.
///
/// TERM is blocked in bubblewrap, which would kill its inside at once, and in the first process; all others of the
/// stage get it as without a sandbox. That the stage is to end is written where the first process sees it: a command
/// that is only then started gets its TERM from there, and what the command leaves behind has its time to end too.
class Sandbox
{
public:
    /// `folder`: the attempt's. `invocation`: of the command.
    Sandbox(const Order& order, const std::string& folder, const Invocation& invocation);

    /// Returns the child to be started: bubblewrap.
    std::unique_ptr<ChildProcess> child();

    /// Starts `child`; `output` and `errors` become the command's; they may be one.
    /// Errors: false; failure(), or that of the child, says why.
    bool start(ChildProcess& child, int output, int errors, int cgroup);

    /// Says that the stage is to end. To be called before TERM is sent to its processes.
    void stopping() const;

    /// Returns the wait status of the command once the first process has told it. Bubblewrap may be there for longer: where
    /// the kernel does not let something end that the command left behind. Blocks: never.
    std::optional<int> told();

    /// Readable when told() has news; -1: it will have none.
    [[nodiscard]] int reportDescriptor() const { return _report.get(); }

    /// Returns the wait status of the command; `ofBubblewrap`: that of bubblewrap, which was reaped.
    int status(int ofBubblewrap);

    /// leftBehindLine() of what outlived the command, once told() has its end.
    [[nodiscard]] const std::string& leftBehind() const { return _leftBehind; }

    /// Why there is no sandbox, or nothing was executed in it; empty when something was.
    [[nodiscard]] const std::string& failure() const { return _failure; }

private:
    void judge(int ofBubblewrap);

    std::vector<std::string> _arguments;
    std::string _invocation;
    FileDescriptor _memory; ///< sandboxed::invocation
    FileDescriptor _report;
    FileDescriptor _words; ///< what bubblewrap says
    std::optional<int> _status;
    std::string _leftBehind;
    std::string _failure;
};

} // namespace agent
