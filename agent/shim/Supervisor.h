#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/shim/Command.h"
#include "agent/shim/LogThread.h"
#include "agent/shim/LogWriter.h"
#include "agent/shim/OutcomeFile.h"
#include "agent/shim/StageProcesses.h"
#include "agent/shim/Verdict.h"
#include "agent/wire/Handover.h"
#include "agent/wire/Order.h"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

// What a shim does, exactly. Each sentence has its test in ShimTest.
//
// Ready. Where the daemon asks for it, the shim makes all ready that is neither claim nor log nor process, and waits for
// the daemon's word: without it nothing more is written and nothing executed (docs/durability.md).
//
// Before the command. The room for the outcome is taken and the claim is written before anything is
// executed. Where either can't be, where order.json can't be read or is newer than this program, or
// where a TERM is already waiting, nothing is executed and the outcome says why. An attempt that has
// a claim or an outcome already is never executed again. The log is made while the command starts, whose
// first words wait in the pipes.
//
// Its words. Where the order merges them, stdout and stderr are one pipe, so the log has all in the order in which it
// was written, as stdout; else there is a pipe for each, read one after the other, and what was written to both within
// one round of the shim may stand in the log in another order than it was written in.
//
// While it runs. The shim sleeps until output comes, a child ends, TERM arrives or a deadline passes;
// it never wakes up just to look. timeoutMs counts from startedAt, silenceMs from the last byte of
// either stream. Both go by the monotonic clock, which stands still while the host sleeps: a stage
// that could not run is not charged for it, and a wall clock that jumps changes nothing.
//
// When it ends by itself. The exit of the command is the end of the stage; its exit code or signal is
// the outcome even where a TERM arrived in the same moment. Whatever it left behind is killed at once, and the log's last
// line names it (LEFT_BEHIND in the outcome's notes), but for what was ending by itself in that moment.
//
// When it is ended: by TERM to the shim (STOPPED), timeoutMs (TIMEOUT), silenceMs (SILENT) or a log
// that can't be written (DISK_FULL). The first of these wins. Every process of the stage gets TERM and
// CONT and has graceMs, the command and all others; what is left then gets KILL, again every 100 ms,
// until the kernel says that there is none. The shim does not give up on a process in a system call
// that can't be interrupted: the stage is still running, which is true. 5 s after the first KILL it says
// so in held.json, where that is all that is left, and sends KILL each second from then on.
//
// The end. The pipes are drained of what they hold at this moment, so the last byte before the exit is
// in the log and a foreign holder of a pipe delays nothing. That is the end that the outcome tells. The
// outcome is renamed into place and told to the daemon, and the shim exits. As long as the disk refuses the outcome
// it tries again each second. Where it is the folder that refuses it, as a stage can bring about, it tries for
// 5 s; then the daemon's word for it is all that is left, and the shim exits too.
//
// What it has made. After an end that is no stop, where the order asks for it, stage-collector takes the stage's files
// before the outcome is told (docs/artifacts.md); the time that takes is not the stage's. It ends by itself, after
// collect.timeoutMs or with a TERM: the end of the command stands in any case, but for `required`.
//
// The plugin. Its files are what they were when the agent loaded it, or nothing is executed (PLUGIN_ERROR, with both
// digests): by their identity where nobody but root can change them, else, or where that differs, by their digest. That
// is taken behind the claim, for it may take long.
//
// Whom it believes. order.json counts only where the attempt's seal proves it (wire/Seal.h).
//
// Syncs. None, where the order says that the record names the boot (docs/durability.md): the daemon does it
// later. An order of a daemon before that gets claim, log and outcome synced, each before what follows from
// it. A stage that was asked to end (STOPPED) is synced in either case, its workspace too: the host may be
// going down.
class Supervisor
{
public:
    using Clock = std::chrono::steady_clock;
    using Secrets = std::map<std::string, std::string>;

    /// What main has received.
    struct Received
    {
        std::string folder;
        FileDescriptor lock; ///< open shim.lock, flocked by the daemon
        Secrets secrets;
        std::vector<std::string> masks; ///< what the log shows masked besides
        Seal seal;
        FileDescriptor daemon;  ///< its socket; not valid: none
        FileDescriptor signals; ///< as main has set them
        Claim claim;            ///< of ownClaim()
        Start start = Start::Now;
    };

    enum class Result
    {
        Recorded,       ///< its outcome is in place
        NeverStarted,   ///< the daemon's word did not come: nothing was executed
        ClaimedBefore,  ///< it was claimed, or had ended: nothing was done
        FolderRefusesIt ///< the outcome could not be put in place
    };

    explicit Supervisor(Received received);

    /// Returns what a claim says of this process. A spare shim reads it while nobody waits for it.
    [[nodiscard]] static Claim ownClaim();

    /// Runs the attempt.
    Result run();

private:
    enum class Phase
    {
        Running,
        Terminating,
        Killing
    };

    void makeReady();
    bool claim();
    void execute();
    void openLog();
    void supervise(Command& command);
    void waitForEvent(Command& command);
    [[nodiscard]] Clock::time_point nextDeadline(bool logBusy) const;
    void takeSignals();
    [[nodiscard]] bool stopAsked();
    std::size_t takeOutput(LogStream stream, FileDescriptor& pipe, std::size_t atMost);
    [[nodiscard]] std::optional<Cause> reasonToEnd() const;
    bool advance(const Command& command, bool processesLeft);
    void tellWhenHeld(Clock::time_point now);
    void drain(Command& command);
    [[nodiscard]] bool syncWorkspace() const;
    bool recordOutcome();
    [[nodiscard]] bool forgotten() const;

    std::string _folder;
    FileDescriptor _lock;
    Secrets _secrets;
    std::vector<std::string> _masks;
    Seal _seal;
    FileDescriptor _daemon;
    FileDescriptor _signals;
    Start _start;
    OutcomeFile _outcomeFile;
    int _unreserved = 0;       ///< why there is no room for the outcome; 0: there is
    std::string _leftBehind;   ///< the log's last line; empty: nothing was
    std::string _orderProblem; ///< why the order can't be executed; empty: it can
    Claim _claim;
    MaskFile _mask;
    bool _pluginProved = false;      ///< by its identity; else its files are read behind the claim
    std::optional<Command> _command; ///< none: nothing may be executed
    Durable _durable = Durable::Yes;
    Order _order;
    Outcome _outcome;
    Evidence _evidence;
    std::optional<StageProcesses> _processes;
    std::optional<LogWriter> _log;
    std::optional<LogThread> _logThread; ///< has the log while it is busy
    Clock::time_point _started;
    Clock::time_point _lastOutput;
    std::optional<Clock::time_point> _ended; ///< how long the disk takes is not the stage's time
    Clock::time_point _graceEnds;
    Clock::time_point _nextKill;
    std::optional<Clock::time_point> _firstKill;
    bool _heldTold = false;
    Phase _phase = Phase::Running;
    bool _stopAsked = false;
};

} // namespace agent
