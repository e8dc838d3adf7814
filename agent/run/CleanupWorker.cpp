#include "agent/run/CleanupWorker.h"

#include "agent/model/Id.h"
#include "agent/run/SafeRemove.h"
#include "agent/store/CompressedLog.h"
#include "agent/wire/Failpoint.h"
#include "agent/wire/Order.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>

namespace agent
{

namespace
{

constexpr const char* trash = "trash";

/// A full disk is looked at again after this time, or when something was removed.
constexpr std::chrono::minutes fullAgain(10);

/// Whether a shim still writes to the attempt: it holds this lock while it lives.
bool alive(int attempt)
{
    const FileDescriptor lock(::openat(attempt, files::lock, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    return lock.valid() && ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

} // namespace

CleanupWorker::CleanupWorker(std::filesystem::path state,
                             std::function<void(const std::string&)> log, MirrorCleanup mirrors)
    : _state(std::move(state)),
      _log(std::move(log)),
      _tell(mirrors.tell),
      _root(::open(_state.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      _artifacts(_root.get()),
      _mirrors(std::move(mirrors.folders), mirrors.keepMs,
               {.discard = [this](const std::filesystem::path& folder) { discard(folder); },
                .tell = std::move(mirrors.tell)})
{
    if (mirrors.keepMs > 0)
        _mirrorsDue = Clock::now();
    if (!_root.valid())
        throw std::system_error(errno, std::generic_category(), _state.string());
    _thread = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

CleanupWorker::~CleanupWorker() = default;

FileDescriptor CleanupWorker::open(const std::filesystem::path& folder) const
{
    return openBeneath(_root.get(), folder.lexically_relative(_state));
}

void CleanupWorker::discard(const std::filesystem::path& folder, const std::string& what)
{
    FAILPOINT("cleanup.discard");
    const FileDescriptor above = open(folder.parent_path());
    const FileDescriptor bin = openBeneath(_root.get(), trash);
    const std::string name = newId();
    if (!above.valid() || !bin.valid() ||
        ::renameat(above.get(), folder.filename().c_str(), bin.get(), name.c_str()) != 0)
    {
        if (errno != ENOENT)
            complain("can't remove " + folder.string() +
                     " yet, the next start tries again: " + std::strerror(errno));
        return;
    }
    FAILPOINT("cleanup.discarded");
    {
        const std::lock_guard lock(_mutex);
        _pending = true;
        if (!what.empty())
            _measured.push_back({.name = name, .what = what});
    }
    _changed.notify_all();
}

void CleanupWorker::discardArtifacts(const std::filesystem::path& folder)
{
    if (!_artifacts.take(folder.lexically_relative(_state)))
    {
        if (errno != ENOENT)
            complain("can't remove " + folder.string() +
                     " yet, the next start tries again: " + std::strerror(errno));
        return;
    }
    {
        const std::lock_guard lock(_mutex);
        _pending = true;
    }
    _changed.notify_all();
}

bool CleanupWorker::idle()
{
    const std::lock_guard lock(_mutex);
    return !_pending && !_emptying;
}

void CleanupWorker::compressLogs(const std::filesystem::path& stage, int attempts)
{
    {
        const std::lock_guard lock(_mutex);
        _logs.push_back({stage, attempts});
    }
    _changed.notify_all();
}

void CleanupWorker::work(const std::stop_token& stop)
{
    ::setpriority(PRIO_PROCESS, 0, 19); // of this thread; its I/O priority follows
    std::unique_lock lock(_mutex);
    bool full = false;
    while (!stop.stop_requested())
    {
        waitForWork(lock, stop, full);
        if (stop.stop_requested())
            return;
        if (_mirrorsDue && *_mirrorsDue <= Clock::now())
        {
            lock.unlock();
            _mirrorsDue = Clock::now() + _mirrors.remove();
            lock.lock();
        }
        if (std::exchange(_pending, false))
        {
            full = false; // there may be room now
            _emptying = true;
            lock.unlock();
            emptyTrash(stop);
            lock.lock();
            _emptying = false;
        }
        else if (!_logs.empty())
        {
            const Logs logs = std::move(_logs.front());
            _logs.pop_front();
            lock.unlock();
            full = !compress(logs, stop);
            lock.lock();
            if (full)
                _logs.push_front(logs);
        }
    }
}

/// `full`: the disk was; whether it still is may have changed when this returns.
void CleanupWorker::waitForWork(std::unique_lock<std::mutex>& lock, const std::stop_token& stop,
                                bool& full)
{
    const auto due = [&] { return _pending || (!full && !_logs.empty()); };
    std::optional<Clock::time_point> until = _mirrorsDue;
    const bool retries = full && !_logs.empty();
    if (const auto again = Clock::now() + fullAgain; retries && (!until || again < *until))
        until = again;
    const bool called =
        until ? _changed.wait_until(lock, stop, *until, due) : _changed.wait(lock, stop, due);
    if (retries)
        full = called;
}

void CleanupWorker::emptyTrash(const std::stop_token& stop)
{
    const FileDescriptor bin = openBeneath(_root.get(), trash);
    if (!bin.valid())
        return complain("can't open the trash of " + _state.string() + ": " + std::strerror(errno));
    std::vector<Measured> measured;
    {
        const std::lock_guard lock(_mutex);
        measured.swap(_measured);
    }
    for (Measured& one : measured)
        if (const FileDescriptor folder = openBeneath(bin.get(), one.name); folder.valid())
            one.bytes = bytesIn(folder.get(), stop);
    for (const auto& [name, why] : emptyFolder(bin.get(), stop))
        complain("can't remove " + (_state / trash / name).string() + ": " + why);
    for (const auto& [name, why] : _artifacts.empty(stop))
        complain("can't remove " + (_state / "artifacts/trash" / name).string() + ": " + why);
    for (const Measured& one : measured)
        _tell(one.what + ", " + std::to_string(one.bytes >> 20) + " MiB");
}

/// Returns false when the disk is too full for it.
bool CleanupWorker::compress(const Logs& logs, const std::stop_token& stop)
{
    for (int attempt = 1; attempt <= logs.attempts; ++attempt)
    {
        const auto path = logs.stage / std::to_string(attempt);
        const FileDescriptor folder = open(path);
        if (!folder.valid() || alive(folder.get()))
            continue; // never made, removed meanwhile, or none of ours
        std::string why;
        try
        {
            // By its descriptor: whoever exchanges the folder now leads nobody astray.
            compressLog("/proc/self/fd/" + std::to_string(folder.get()), stop);
            continue;
        }
        catch (const std::system_error& error)
        {
            if (error.code() == std::errc::no_space_on_device || error.code().value() == EDQUOT)
                return false;
            why = error.code().message();
        }
        catch (const std::exception& error)
        {
            why = error.what();
        }
        complain("the log in " + path.string() + " stays uncompressed: " + why);
    }
    return true;
}

void CleanupWorker::complain(const std::string& line)
{
    constexpr std::size_t remembered = 1000;
    {
        const std::lock_guard lock(_mutex);
        if (_told.size() >= remembered)
            _told.clear();
        if (!_told.insert(line).second)
            return;
    }
    _log(line);
}

} // namespace agent
