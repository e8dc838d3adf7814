#include "agent/shim/Supervisor.h"

#include "agent/os/Files.h"
#include "agent/os/FreeSpace.h"
#include "agent/shim/CollectorProcess.h"
#include "agent/shim/LeftBehind.h"
#include "agent/shim/OrderFile.h"
#include "agent/shim/PluginCheck.h"
#include "agent/wire/Failpoint.h"
#include "agent/wire/Handover.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <iterator>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{
namespace
{

constexpr std::chrono::milliseconds killInterval{100};

/// A process that is killed may be in state D for a moment, as when it writes out what it had open. The
/// daemon waits as long for a stage that it ends.
constexpr std::chrono::seconds heldAfter{5};
constexpr std::chrono::seconds heldKillInterval{1};
constexpr std::chrono::seconds outcomeRetry{1};

/// Of a disk that can't be looked at.
constexpr FreeSpace spacious{.bytes = INT64_MAX, .inodes = std::nullopt, .inodesInAll = 0};

/// For a folder that refuses the outcome, as only another process can bring about.
constexpr std::chrono::seconds folderPatience{5};

/// The disk may take it later.
bool mayPass(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EIO || error == EROFS ||
           error == ENOMEM || error == EMFILE || error == ENFILE;
}

std::string bootId()
{
    std::string id = readFile("/proc/sys/kernel/random/boot_id").value_or("");
    id.erase(std::find(id.begin(), id.end(), '\n'), id.end());
    return id;
}

} // namespace

Supervisor::Supervisor(Received received)
    : _folder(std::move(received.folder)),
      _lock(std::move(received.lock)),
      _secrets(std::move(received.secrets)),
      _masks(std::move(received.masks)),
      _seal(std::move(received.seal)),
      _daemon(std::move(received.daemon)),
      _signals(std::move(received.signals)),
      _start(received.start),
      _outcomeFile(_folder),
      _claim(std::move(received.claim))
{
}

Claim Supervisor::ownClaim()
{
    return {.pid = ::getpid(),
            .startTime = processStat(::getpid()).value_or(ProcessStat{}).startTime,
            .bootId = bootId()};
}

Supervisor::Result Supervisor::run()
{
    // By its descriptor, whatever stands under the name now.
    if (_outcomeFile.exists() ||
        claimFrom(readFile("/proc/self/fd/" + std::to_string(_lock.get())).value_or("")))
        return Result::ClaimedBefore;
    std::exception_ptr broken;
    try
    {
        makeReady();
    }
    catch (const std::exception&)
    {
        broken = std::current_exception();
    }
    FAILPOINT("shim.ready");
    if (_start == Start::AtWord && !awaitGo(_daemon.get()))
        return Result::NeverStarted;
    try
    {
        if (broken)
            std::rethrow_exception(broken);
        if (claim())
            execute();
    }
    catch (const std::exception& error)
    {
        // Nothing in here is known to throw but on out-of-memory: end the stage, say it was us.
        while (_processes && _processes->reap())
        {
            _processes->kill();
            std::this_thread::sleep_for(killInterval);
        }
        _outcome.cause = Cause::ShimLost;
        _outcome.message = std::string("the shim broke: ") + error.what();
    }
    return recordOutcome() ? Result::Recorded : Result::FolderRefusesIt;
}

/// All that may be done before the attempt's start is on record.
void Supervisor::makeReady()
{
    _unreserved = _outcomeFile.reserve();
    _orderProblem = readOrder(_folder, _seal, _order);
    if (!_orderProblem.empty())
        return;
    if (_order.bootRecorded)
        _durable = Durable::No;
    // Who wrote it may be an older daemon, and has to read this. A sandbox makes no difference to it.
    _outcome.version = std::min(_order.version, wireVersion);
    if (const auto file = _order.env.find("STAGE_MASK"); file != _order.env.end())
        _mask = MaskFile(file->second);
    _processes.emplace(_order.cgroup);
    // To read the plugin's files may take longer than anybody waits for the claim, or for a shim that is to execute nothing.
    _pluginProved = pluginIsProved(_order);
    _command.emplace(_order, _folder, _secrets);
}

/// Returns false when nothing may be executed; the outcome says why.
bool Supervisor::claim()
{
    _outcome.startedAt = nowMs();
    _started = Clock::now();
    _lastOutput = _started;
    _outcome.containment = "subreaper";
    const auto full = [this](const char* what, int error)
    {
        _outcome.cause = Cause::DiskFull;
        _outcome.message = std::string(what) + " could not be written: " + std::strerror(error);
        return false;
    };

    _claim.startedAt = _outcome.startedAt;
    _claim.beganTicks = ticksSinceBoot();
    const int unclaimed =
        writeClaim(_lock.get(), _folder, _seal.on(files::lock, toJson(_claim)), _durable);
    if (!_orderProblem.empty())
    {
        _outcome.cause = Cause::SpawnError;
        _outcome.message = _orderProblem;
        return false;
    }
    if (_unreserved != 0)
        return full("the outcome's file", _unreserved);
    if (unclaimed != 0)
        return full("the claim", unclaimed);
    return true;
}

void Supervisor::execute()
{
    takeSignals();
    _evidence.ended = reasonToEnd();
    if (!_evidence.ended && !_pluginProved)
    {
        _evidence.pluginProblem = problemOfPlugin(_order);
        takeSignals(); // that may have taken long
        if (_evidence.pluginProblem.empty())
            _evidence.ended = reasonToEnd();
    }
    if (_evidence.ended || !_evidence.pluginProblem.empty())
        _command.reset();
    const bool started = _command && _command->start(_processes->cgroup().folder());
    // Now, while the command starts: to make two files may take as long.
    openLog();
    if (started)
    {
        if (!_command->inCgroup())
            _processes->cgroup().abandon();
        _processes->setCommand(_command->pid());
        supervise(*_command);
        drain(*_command);
    }
    if (_command)
        _evidence.spawnFailure = _command->failure();
    _log->finish(_leftBehind);
    _ended = Clock::now();
    if (_durable == Durable::Yes || _evidence.ended == Cause::Stopped)
        _log->sync();
    if (_evidence.ended == Cause::Stopped)
        _outcome.synced = syncWorkspace();
    _evidence.logError = _log->file().error();
    _evidence.oomKilled = _processes->cgroup().oomKills() > 0;
    _evidence.diskFull =
        freeSpaceOf(_order.cwd.empty() ? _folder : _order.cwd).value_or(spacious).nothing();

    judge(_outcome, _order, _evidence);
    if (_log->file().cut())
        _outcome.notes.push_back(Cause::LogLimit);
    if (!_leftBehind.empty() && _order.knowsLeftBehind)
        _outcome.notes.push_back(Cause::LeftBehind);
    _outcome.logBytes = _log->file().bytes();
    _outcome.containment = _processes->containment();
    _outcome.usage = _processes->usage(); // before the collector is a child that has ended
    if (_order.collect && started && _evidence.spawnFailure.empty())
        collectFiles(_outcome, _order, _folder, _signals, [this] { return stopAsked(); });
}

void Supervisor::openLog()
{
    std::vector<std::string> values = std::move(_masks);
    for (const auto& [name, value] : _secrets)
        values.push_back(value);
    _log.emplace(_folder, _order.logMaxBytes, values, std::move(_mask));
    _logThread.emplace(*_log);
}

void Supervisor::supervise(Command& command)
{
    bool processesLeft = true;
    do
    {
        waitForEvent(command);
        takeSignals();
        if (!_logThread->busy())
            _log->showDue();
        // Before the reasons to end it: an end of its own counts more than one that we would cause now.
        processesLeft = _processes->reap();
        if (const auto status = _processes->commandStatus())
            _evidence.commandStatus = command.status(*status);
        else
            _evidence.commandStatus = command.ended();
    } while (advance(command, processesLeft));
}

void Supervisor::waitForEvent(Command& command)
{
    // Not asleep for longer than the log is being written: nobody would see that it failed, or that a line is due.
    const bool logBusy = _logThread->busy();
    pollfd events[] = {{.fd = _signals.get(), .events = POLLIN, .revents = 0},
                       {.fd = command.output().get(), .events = POLLIN, .revents = 0},
                       {.fd = command.errors().get(), .events = POLLIN, .revents = 0},
                       {.fd = command.endDescriptor(), .events = POLLIN, .revents = 0},
                       {.fd = _logThread->doneDescriptor(), .events = POLLIN, .revents = 0}};
    const Clock::time_point deadline = nextDeadline(logBusy);
    timespec timeout{};
    if (deadline != Clock::time_point::max())
    {
        const auto left = std::max(deadline - Clock::now(), Clock::duration::zero());
        timeout.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
        timeout.tv_nsec = (left % std::chrono::seconds(1)).count();
    }
    const bool waits = deadline == Clock::time_point::max();
    if (::ppoll(events, std::size(events), waits ? nullptr : &timeout, nullptr) <= 0)
        return;
    if (events[1].revents != 0)
        takeOutput(LogStream::Output, command.output(), SIZE_MAX);
    if (events[2].revents != 0)
        takeOutput(LogStream::Errors, command.errors(), SIZE_MAX);
}

Supervisor::Clock::time_point Supervisor::nextDeadline(bool logBusy) const
{
    using std::chrono::milliseconds;
    Clock::time_point next = Clock::time_point::max();
    if (!logBusy)
        next = _log->due().value_or(next);
    if (_phase == Phase::Terminating)
        return std::min(next, _graceEnds);
    if (_phase == Phase::Killing)
        return std::min(next, _nextKill);
    if (_order.timeoutMs > 0)
        next = std::min(next, _started + milliseconds(_order.timeoutMs));
    if (_order.silenceMs > 0)
        next = std::min(next, _lastOutput + milliseconds(_order.silenceMs));
    return next;
}

void Supervisor::takeSignals()
{
    signalfd_siginfo signal{};
    while (::read(_signals.get(), &signal, sizeof signal) == sizeof signal)
        if (signal.ssi_signo == SIGTERM)
            _stopAsked = true;
}

bool Supervisor::stopAsked()
{
    takeSignals();
    return _stopAsked;
}

/// Returns how much it was; the log has not always room for more.
std::size_t Supervisor::takeOutput(LogStream stream, FileDescriptor& pipe, std::size_t atMost)
{
    const std::span<char> room = _logThread->room(stream);
    const ssize_t n = ::read(pipe.get(), room.data(), std::min(atMost, room.size()));
    const std::size_t size = n > 0 ? static_cast<std::size_t>(n) : 0;
    _logThread->take(size);
    if (n > 0)
        _lastOutput = Clock::now();
    else if (n == 0)
        pipe.reset();
    return size;
}

std::optional<Cause> Supervisor::reasonToEnd() const
{
    using std::chrono::milliseconds;
    const Clock::time_point now = Clock::now();
    if (_log && _log->file().error() != 0)
        return Cause::DiskFull;
    if (_stopAsked)
        return Cause::Stopped;
    if (_order.timeoutMs > 0 && now >= _started + milliseconds(_order.timeoutMs))
        return Cause::Timeout;
    if (_order.silenceMs > 0 && now >= _lastOutput + milliseconds(_order.silenceMs))
        return Cause::Silent;
    return std::nullopt;
}

/// Takes the stage one phase on where it is time for it. Returns false when it is over.
bool Supervisor::advance(const Command& command, bool processesLeft)
{
    const Clock::time_point now = Clock::now();
    if (_phase == Phase::Running)
    {
        if (const auto status = _evidence.commandStatus)
        {
            // A host that goes down asks all processes at once: then this is no end of its own.
            if (_stopAsked && endedByTerm(*status))
                _evidence.ended = Cause::Stopped;
            else if (const auto told = command.leftBehind())
                _leftBehind =
                    *told; // by the sandbox's first process, which may have ended all of them since
            else if (processesLeft)
                _leftBehind = leftBehindLine(_processes->list());
            _phase = Phase::Killing;
            if (!_processes->commandStatus())
                _nextKill = now + killInterval; // the sandbox's first process ends all with itself
        }
        else if ((_evidence.ended = reasonToEnd()))
        {
            command.stopping();
            _processes->terminate();
            _graceEnds = now + std::chrono::milliseconds(_order.graceMs);
            _phase = Phase::Terminating;
        }
    }
    if (_phase == Phase::Terminating && processesLeft && now >= _graceEnds)
    {
        _evidence.outlivedGrace = true;
        _phase = Phase::Killing;
    }
    if (_phase == Phase::Killing && processesLeft && now >= _nextKill)
    {
        _processes->kill();
        tellWhenHeld(now);
        _nextKill = now + (_heldTold ? Clock::duration(heldKillInterval) : killInterval);
    }
    return processesLeft;
}

/// Whoever waits for this end is to know that nobody can bring it about.
void Supervisor::tellWhenHeld(Clock::time_point now)
{
    if (!_firstKill)
        _firstKill = now;
    if (_heldTold || now < *_firstKill + heldAfter || !_processes->held())
        return;
    const Held held{.version = _outcome.version, .since = nowMs(), .ending = _evidence.ended};
    _heldTold = writeHeld(_folder, held) == 0;
}

void Supervisor::drain(Command& command)
{
    for (const LogStream stream : {LogStream::Output, LogStream::Errors})
    {
        FileDescriptor& pipe = stream == LogStream::Output ? command.output() : command.errors();
        // Someone outside the stage may write on for ever: what counts is there already.
        int left = 0;
        if (!pipe.valid() || ::ioctl(pipe.get(), FIONREAD, &left) != 0)
            continue;
        std::size_t taken = 1;
        for (auto rest = static_cast<std::size_t>(left); rest > 0 && taken > 0; rest -= taken)
            taken = takeOutput(stream, pipe, rest);
    }
    _logThread->settle();
}

/// Whoever asks the shim to end may be the host on its way down, and the daemon gone before: then nobody else
/// would sync what the stage wrote.
bool Supervisor::syncWorkspace() const
{
    const std::string& folder = _order.cwd.empty() ? _folder : _order.cwd;
    const FileDescriptor workspace(
        ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    return workspace.valid() && _log->file().error() == 0 && ::syncfs(workspace.get()) == 0;
}

/// Returns whether it is in place.
bool Supervisor::recordOutcome()
{
    // What was never executed took no time, however long its sandbox did.
    const auto lasted = _outcome.cause == Cause::SpawnError
                            ? Clock::duration::zero()
                            : _ended.value_or(Clock::now()) - _started;
    _outcome.durationMs = std::chrono::duration_cast<std::chrono::milliseconds>(lasted).count();
    _outcome.endedAt = _outcome.startedAt + _outcome.durationMs;
    const Durable durable = _outcome.synced ? Durable::Yes : _durable;
    const std::string text = toJson(_outcome, _seal);
    const auto patienceEnds = Clock::now() + folderPatience;
    int error = 0;
    while ((error = _outcomeFile.write(text, durable)) != 0 && !forgotten() &&
           (mayPass(error) || Clock::now() < patienceEnds))
        std::this_thread::sleep_for(outcomeRetry);
    FAILPOINT("shim.tell");
    if (_daemon.valid())
        tellOutcome(_daemon.get(), text);
    return error == 0;
}

/// The attempt's folder was removed, claim and all: nobody will ever ask for the end.
bool Supervisor::forgotten() const
{
    struct stat claim = {};
    struct stat folder = {};
    return ::fstat(_lock.get(), &claim) == 0 && claim.st_nlink == 0 &&
           ::stat(_folder.c_str(), &folder) != 0 && errno == ENOENT;
}

} // namespace agent
