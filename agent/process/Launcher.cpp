#include "agent/process/Launcher.h"

#include "agent/os/Files.h"
#include "agent/os/ProcessStat.h"
#include "agent/process/AttemptFolder.h"
#include "agent/process/ProcessTree.h"
#include "agent/wire/Failpoint.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{

namespace
{

using namespace std::chrono_literals;

constexpr auto claimPatience = 5s; ///< a shim writes its claim within milliseconds of its start
constexpr auto claimPoll = 10ms;
constexpr auto lockPatience = 2s; ///< a shim that executes nothing exits as soon as its daemon has
constexpr int strangeRounds = 20; ///< looks at a lock whose holder is not the claimed process

[[noreturn]] void fail(const std::string& what)
{
    throw std::system_error(errno, std::generic_category(), what);
}

/// The lock of an attempt that never ran, in our hands; the shim gets it from us.
FileDescriptor takeLock(const AttemptFolder& attempt)
{
    const std::string name = "'" + attempt.lockFile().string() + "'";
    constexpr int flags = O_RDWR | O_CREAT | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;
    FileDescriptor lock(::open(attempt.lockFile().c_str(), flags | O_EXCL, 0600));
    const bool fresh = lock.valid(); // then nothing of an attempt can have been here
    if (!fresh && errno == EEXIST)
    {
        lock = FileDescriptor(::open(attempt.lockFile().c_str(), flags, 0600));
        const int error = errno;
        if (attempt.lockReplaced())
            throw std::system_error(EEXIST, std::generic_category(), "an attempt replaced " + name);
        errno = error;
    }
    if (!lock.valid())
        fail("cannot open " + name);
    const auto deadline = std::chrono::steady_clock::now() + lockPatience;
    while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    {
        // Without a claim it may be the armed shim of a daemon that was killed.
        const int error = errno;
        if (error != EWOULDBLOCK || attempt.claim() || attempt.claimRefused() ||
            std::chrono::steady_clock::now() >= deadline)
            throw std::system_error(error, std::generic_category(), "cannot lock " + name);
        std::this_thread::sleep_for(claimPoll);
    }
    // A stage that may have run is never run again, whatever the caller believes.
    if ((!fresh && (attempt.claim() || attempt.claimRefused())) || attempt.outcome())
        throw std::system_error(EEXIST, std::generic_category(),
                                "an attempt was made already in '" + attempt.path().string() + "'");
    if (!fresh && ::ftruncate(lock.get(), 0) != 0)
        fail("cannot empty " + name);
    FAILPOINT("launch.locked");
    return lock;
}

/// Names and values as NAME\0VALUE\0…, in memory only, to be read from the start. The seal comes last, without a NUL:
/// a shim that knows none does not take it for a secret.
FileDescriptor memoryOf(const Secrets& secrets, const Seal& seal)
{
    if (secrets.empty() && seal.none())
        return {};
    FileDescriptor memory(static_cast<int>(::memfd_create("stage-secrets", MFD_CLOEXEC)));
    if (!memory.valid())
        fail("cannot make the memory for secrets");
    std::string text;
    for (const auto& [name, value] : secrets)
    {
        text.append(name).push_back('\0');
        text.append(value).push_back('\0');
    }
    text += seal.text();
    const bool written = writeAll(memory.get(), text);
    ::explicit_bzero(text.data(), text.size());
    if (!written)
        fail("cannot write the secrets");
    ::lseek(memory.get(), 0, SEEK_SET);
    return memory;
}

/// Whether the process is there and has not ended.
bool lives(const FileDescriptor& pidfd)
{
    pollfd end{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    return ::poll(&end, 1, 0) == 0;
}

/// The claimed process, if it is still that one; else a Shim without descriptor. Where /proc does not show it, as none of
/// our user that is not dumpable is shown under ProtectProc=invisible, the held lock and a living process of that pid
/// prove it.
Shim shimOf(const Claim& claim)
{
    Shim shim{.pid = claim.pid};
    if (claim.pid <= 0)
        return shim;
    FileDescriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, claim.pid, 0)));
    if (!pidfd.valid() && errno != ESRCH && errno != EINVAL)
        fail("cannot watch the shim " + std::to_string(claim.pid));
    // After the open: what is read now belongs to what the pidfd stands for.
    const auto stat = processStat(claim.pid);
    const bool same = stat ? stat->alive() && stat->startTime == claim.startTime
                           : claim.bootId == bootId() && lives(pidfd);
    if (pidfd.valid() && same)
        shim.pidfd = std::move(pidfd);
    return shim;
}

/// What the files say, once no shim is there.
Attempt restOf(const AttemptFolder& attempt, const std::string& recordedBoot)
{
    const bool rebooted = !recordedBoot.empty() && recordedBoot != bootId();
    Attempt found;
    found.claim = attempt.claim();
    auto outcome = attempt.outcome();
    if (outcome && (outcome->checked || !rebooted))
    {
        found.state = Attempt::State::Ended;
        found.outcome = std::move(*outcome);
        // It matters for one that was asked to end: whether by the host on its way down.
        const bool claimedBefore =
            recordedBoot.empty() && found.claim && found.claim->bootId != bootId();
        found.rebooted = found.outcome.cause == Cause::Stopped && (rebooted || claimedBefore);
        return found;
    }
    if (rebooted)
    {
        found.state = Attempt::State::Rebooted;
        return found;
    }
    const auto order = attempt.order();
    if (order && order->bootId != bootId())
        found.state = Attempt::State::Rebooted;
    else if ((order && found.claim) || attempt.lockReplaced() || attempt.claimRefused())
        found.state = Attempt::State::Lost;
    return found;
}

void send(const Shim& shim, int signal)
{
    if (shim.pidfd.valid())
        ::syscall(SYS_pidfd_send_signal, shim.pidfd.get(), signal, nullptr, 0);
}

} // namespace

PreparedLaunch::PreparedLaunch(AttemptFolder folder, FileDescriptor lock, FileDescriptor secrets,
                               std::string cgroup, std::string missingLimits)
    : _folder(std::move(folder)),
      _lock(std::move(lock)),
      _secrets(std::move(secrets)),
      _cgroup(std::move(cgroup)),
      _missingLimits(std::move(missingLimits))
{
}

PreparedLaunch::~PreparedLaunch()
{
    if (!_cgroup.empty())
        Cgroup::remove(_cgroup);
}

Launcher::Launcher(const std::filesystem::path& shim, Cgroup cgroup, Bond bond, PortKeeper* keeper)
    : _shim(std::filesystem::absolute(shim)),
      _cgroup(std::move(cgroup)),
      _bond(bond),
      _keeper(keeper),
      _spare(bond == Bond::Outlives ? std::make_unique<SpareShim>(_shim) : nullptr)
{
}

PreparedLaunch Launcher::prepare(const std::filesystem::path& folder, Order order,
                                 const Secrets& secrets) const
{
    const AttemptFolder attempt(folder, order.seal);
    attempt.make();
    FileDescriptor lock = takeLock(attempt);
    FileDescriptor memory = memoryOf(secrets, order.seal);
    if (order.bootId.empty())
        order.bootId = bootId();
    std::string missing;
    order.cgroup =
        _cgroup.make(order.stageId + "." + std::to_string(order.attempt), order.limits, missing);
    FAILPOINT("launch.cgroup");
    PreparedLaunch launch(attempt, std::move(lock), std::move(memory), order.cgroup,
                          std::move(missing));
    attempt.write(order);
    return launch;
}

void Launcher::arm(PreparedLaunch& launch) const
{
    if (_spare && _spare->arm(launch._folder.path(), launch._lock, launch._secrets))
        launch._armed.reset(_spare.get());
    FAILPOINT("launch.armed");
}

// The shim is not cloned into the stage's cgroup, as one might expect, but stays beside the daemon: it
// has to survive the stage's memory limit and the cgroup.kill that ends the stage, and to tell of them.
// It is the stage's command that enters order.cgroup.
Shim Launcher::start(PreparedLaunch launch)
{
    FAILPOINT("launch.spawn");
    const auto& folder = launch._folder.path();
    Shim shim{.missingLimits = std::move(launch._missingLimits), .handedTicks = ticksSinceBoot()};
    std::optional<Child> child;
    if (launch._armed)
        child = launch._armed.release()->go();
    if (_spare && !child)
        child = _spare->take(folder, launch._lock, launch._secrets);
    if (_spare && !child)
    {
        SpareShim another(_shim); // ours may be armed with another attempt
        refill(another);
        child = another.take(folder, launch._lock, launch._secrets);
    }
    if (!child)
    {
        child = spawnShim(_shim, folder.string(), launch._lock, launch._secrets, _bond);
        if (_keeper)
            _keeper->watch(child->pidfd);
    }
    FAILPOINT("launch.spawned");
    shim.cgroup = std::exchange(launch._cgroup, {});
    shim.pid = child->pid;
    shim.pidfd = std::move(child->pidfd);
    shim.socket = std::move(child->socket);
    resume(shim); // it may have been stopped while it waited
    _shims.insert(shim.pid);
    return shim;
}

void Launcher::refill() const
{
    if (_spare)
        refill(*_spare);
}

void Launcher::refill(SpareShim& spare) const
{
    const int before = spare.pid();
    spare.refill();
    // Before it has an attempt: there is no moment with a stage of which the keeper does not know.
    if (_keeper && spare.pid() != before)
        _keeper->watch(spare.pidfd());
}

void Launcher::endSpare() const
{
    if (_spare)
        _spare->end();
}

Attempt Launcher::find(const std::filesystem::path& folder, const std::string& recordedBoot,
                       const Seal& seal) const
{
    const AttemptFolder attempt(folder, seal);
    const auto deadline = std::chrono::steady_clock::now() + claimPatience;
    for (int strange = 0; strange < strangeRounds; std::this_thread::sleep_for(claimPoll))
    {
        const FileDescriptor lock(
            ::open(attempt.lockFile().c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
        if (attempt.lockReplaced())
            return restOf(attempt, recordedBoot);
        if (!lock.valid() && errno != ENOENT && errno != ENOTDIR)
            fail("cannot open '" + attempt.lockFile().string() + "'");
        if (!lock.valid() || ::flock(lock.get(), LOCK_SH | LOCK_NB) == 0)
            return restOf(attempt, recordedBoot);
        if (errno != EWOULDBLOCK && errno != EINTR)
            fail("cannot look at the lock of '" + attempt.lockFile().string() + "'");
        if (const auto claim = attempt.claim())
        {
            if (Shim shim = shimOf(*claim); shim.pidfd.valid())
            {
                if (_keeper)
                    _keeper->watch(shim.pidfd);
                return Attempt{.state = Attempt::State::Running,
                               .shim = std::move(shim),
                               .outcome = {},
                               .claim = claim};
            }
            ++strange; // just ending, or a stranger has the lock
        }
        else if (std::chrono::steady_clock::now() >= deadline)
            throw std::system_error(ETIMEDOUT, std::generic_category(),
                                    "no shim claims the held lock '" + attempt.lockFile().string() +
                                        "'");
    }
    return restOf(attempt, recordedBoot);
}

Attempt Launcher::endOf(const std::filesystem::path& folder, const std::string& recordedBoot,
                        const Seal& seal) const
{
    // Where there is an outcome, no claim or lock says more; but of another boot it may not be whole.
    static const std::string boot = bootId();
    if (recordedBoot == boot)
        if (auto outcome = AttemptFolder(folder, seal).outcome())
            return {.state = Attempt::State::Ended, .shim = {}, .outcome = std::move(*outcome)};
    return find(folder, recordedBoot, seal);
}

std::string Launcher::limitAgain(const Order& order)
{
    std::string missing;
    const bool grouped = Cgroup::isStageGroup(order.cgroup);
    Cgroup::applyLimits(grouped ? order.cgroup : "", order.limits, missing);
    return missing;
}

void Launcher::stop(const Shim& shim)
{
    FAILPOINT("stop");
    send(shim, SIGTERM);
    send(shim, SIGCONT); // a stopped one gets TERM only then
    FAILPOINT("stopped");
}

Shim Launcher::living(const Claim& claim)
{
    return claim.bootId == bootId() ? shimOf(claim) : Shim();
}

void Launcher::resume(const Shim& shim)
{
    send(shim, SIGCONT);
}

std::size_t Launcher::endOrphans() const
{
    int subreaper = 0;
    if (::prctl(PR_GET_CHILD_SUBREAPER, &subreaper) != 0 || subreaper == 0)
        return 0; // what others start beside us is not ours to end
    const auto all = allProcesses();
    std::set<int> theirs;
    for (const ProcessStat& process : all)
        if (process.ppid == ::getpid() && !_shims.contains(process.pid) &&
            !(_spare && _spare->pid() == process.pid) &&
            !(_keeper && _keeper->pid() == process.pid))
        {
            theirs.insert(process.pid);
            if (!process.alive())
                ::waitpid(process.pid, nullptr, WNOHANG);
        }
    for (std::size_t before = 0; before != theirs.size();)
    {
        before = theirs.size();
        for (const ProcessStat& process : all)
            if (theirs.contains(process.ppid))
                theirs.insert(process.pid);
    }
    std::size_t living = 0;
    for (const ProcessStat& process : all)
        if (theirs.contains(process.pid) && process.alive())
        {
            signalProcess(process, SIGKILL);
            ++living;
        }
    return living;
}

void Launcher::kill(const Shim& shim)
{
    FAILPOINT("kill");
    send(shim, SIGKILL);
}

std::size_t Launcher::endRemains(const Order& order, const std::optional<Claim>& claim)
{
    FAILPOINT("remains");
    if (order.bootId != bootId())
        return 0;
    std::size_t grouped = 0;
    if (Cgroup::isStageGroup(order.cgroup))
        grouped = Cgroup::killAll(order.cgroup);
    // Also where a cgroup did most of it: a process may have been moved out, or not yet in. Without a claim the
    // environment alone tells.
    const auto remains = remainsOf(order, claim.value_or(Claim()));
    for (const ProcessStat& process : remains)
        signalProcess(process, SIGKILL);
    FAILPOINT("remains.killed");
    return std::max(grouped, remains.size());
}

std::size_t Launcher::endRemains(const std::filesystem::path& folder) const
{
    const AttemptFolder attempt(folder);
    const auto order = attempt.order();
    return order ? endRemains(*order, attempt.claim()) : 0;
}

void Launcher::removeCgroup(const std::string& cgroup)
{
    FAILPOINT("forget");
    if (Cgroup::isStageGroup(cgroup))
        Cgroup::remove(cgroup);
}

void Launcher::forget(const std::filesystem::path& folder) const
{
    if (const auto order = AttemptFolder(folder).order())
        removeCgroup(order->cgroup);
}

} // namespace agent
