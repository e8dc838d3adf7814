#include "agent/run/SyncWorker.h"

#include "agent/os/FileDescriptor.h"
#include "agent/wire/Failpoint.h"

#include <cerrno>
#include <set>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

/// Stages that end within this time share one sync of the file system.
constexpr std::chrono::milliseconds together{1000};

std::string failureOf(const std::filesystem::path& folder)
{
    std::string text = "cannot sync the file system of ";
    text.append(folder.string()).append(": ").append(std::generic_category().message(errno));
    return text;
}

/// Opens a folder that a stage may have replaced by something else.
FileDescriptor openFolder(const std::filesystem::path& folder)
{
    return FileDescriptor(
        ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

/// Syncs the file system of `folder` unless that was done for `synced`. One call for all attempts of a second: an
/// fsync of each file would have the disk's journal written hundreds of times, and the record's commits wait for that.
/// Errors: also of what was written back before this call and nobody was told of yet (Linux 5.8).
bool syncFileSystem(const FileDescriptor& folder, std::set<dev_t>& synced)
{
    struct stat info = {};
    if (::fstat(folder.get(), &info) != 0)
        return false;
    if (synced.contains(info.st_dev))
        return true;
    if (::syncfs(folder.get()) != 0)
        return false;
    synced.insert(info.st_dev);
    return true;
}

std::string sync(const UnsyncedAttempt& attempt, std::set<dev_t>& synced)
{
    const FileDescriptor folder = openFolder(attempt.folder);
    if (folder.valid() && !syncFileSystem(folder, synced))
        return failureOf(attempt.folder);
    const FileDescriptor workspace = openFolder(attempt.workspace);
    if (workspace.valid() && !syncFileSystem(workspace, synced))
        return failureOf(attempt.workspace);
    return {}; // what was removed meanwhile needs no sync
}

} // namespace

SyncWorker::SyncWorker(std::function<void()> done)
    : _done(std::move(done)), _thread([this](const std::stop_token& stop) { work(stop); })
{
}

void SyncWorker::add(UnsyncedAttempt attempt)
{
    {
        const std::lock_guard lock(_mutex);
        _pending.push_back(std::move(attempt));
    }
    _changed.notify_all();
}

std::vector<SyncWorker::Result> SyncWorker::take()
{
    const std::lock_guard lock(_mutex);
    return std::exchange(_results, {});
}

void SyncWorker::finish(std::chrono::milliseconds timeout)
{
    std::unique_lock lock(_mutex);
    _hurry = true;
    _changed.notify_all();
    _changed.wait_for(lock, timeout, [this] { return _pending.empty() && !_busy; });
}

void SyncWorker::work(const std::stop_token& stop)
{
    std::unique_lock lock(_mutex);
    while (_changed.wait(lock, stop, [this] { return !_pending.empty(); }))
    {
        _changed.wait_for(lock, stop, together, [this] { return _hurry; });
        if (stop.stop_requested())
            return; // the record still calls them pending
        const auto attempts = std::exchange(_pending, {});
        _busy = true;
        lock.unlock();
        std::set<dev_t> synced; // each time anew: it covers what was written before
        std::vector<Result> results;
        for (const auto& attempt : attempts)
        {
            FAILPOINT("sync");
            results.push_back({attempt.stageId, attempt.attempt, sync(attempt, synced)});
            FAILPOINT("synced");
        }
        lock.lock();
        _busy = false;
        _results.insert(_results.end(), results.begin(), results.end());
        _changed.notify_all();
        lock.unlock();
        _done();
        lock.lock();
    }
}

} // namespace agent
