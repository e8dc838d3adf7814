#include "agent/run/CacheWorker.h"

#include "agent/os/Files.h"
#include "agent/os/RegularFile.h"
#include "agent/program/Program.h"
#include "agent/wire/Failpoint.h"
#include "agent/wire/JsonObject.h"

#include <algorithm>
#include <exception>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr std::size_t memoryMost = std::size_t{1} << 30;

std::optional<std::vector<CacheUse>> usesIn(const std::string& report)
try
{
    const auto text = readRegularFile(report, caches::reportBytes);
    return text ? cacheUsesFrom(*text) : std::nullopt;
}
catch (const std::system_error&)
{
    return std::nullopt; // a stage without a sandbox put something else there
}

std::string sizeText(std::int64_t bytes)
{
    return std::to_string(bytes >> 20) + " MiB";
}

std::string removedText(const std::string& what, std::int64_t size)
{
    return "cache " + what + " removed, " + sizeText(size);
}

void writePending(const std::filesystem::path& file, const std::string& text)
{
    const std::string temporary = file.string() + ".new";
    {
        const FileDescriptor opened(
            ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!opened.valid() || !writeAll(opened.get(), text))
        {
            // The disk is full: this daemon tries it all the same, no other does.
            ::unlink(temporary.c_str());
            return;
        }
    }
    FAILPOINT("cache.pending");
    (void)::rename(temporary.c_str(), file.c_str());
    FAILPOINT("cache.pending.written");
}

} // namespace

CacheWorker::CacheWorker(CacheStore& store, CacheOptions options)
    : _store(store),
      _options(std::move(options)),
      _interrupt(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      _thread([this](const std::stop_token& stop) { work(stop); })
{
}

CacheWorker::~CacheWorker()
{
    _thread.request_stop();
    (void)::eventfd_write(_interrupt.get(), 1);
}

void CacheWorker::save(CacheJob job)
{
    writePending(_store.pending(job.runId), toJson(job));
    {
        const std::lock_guard lock(_mutex);
        _held.insert(job.runId);
        _jobs.push_back(std::move(job));
    }
    _changed.notify_all();
}

void CacheWorker::ended(CachedAttempt attempt)
{
    {
        const std::lock_guard lock(_mutex);
        _attempts.push_back(std::move(attempt));
    }
    _changed.notify_all();
}

void CacheWorker::makeRoom()
{
    {
        const std::lock_guard lock(_mutex);
        _roomWanted = true;
        if (_saving)
            (void)::eventfd_write(_interrupt.get(), 1);
    }
    _changed.notify_all();
}

bool CacheWorker::mayHaveSome() const
{
    const std::lock_guard lock(_mutex);
    return _some;
}

void CacheWorker::forgetInterrupt() const
{
    eventfd_t given = 0;
    (void)::eventfd_read(_interrupt.get(), &given);
}

void CacheWorker::relieve()
{
    std::string why = _options.lack ? _options.lack() : "";
    bool some = true;
    while (some && !why.empty())
    {
        some = _store.removeOldest([&](const std::string& what, std::int64_t size)
                                   { _options.info(removedText(what, size) + ": " + why); });
        why = _options.lack();
    }
    const std::lock_guard lock(_mutex);
    _some = some;
}

bool CacheWorker::holds(const std::string& runId) const
{
    const std::lock_guard lock(_mutex);
    return _held.contains(runId);
}

CacheCounts CacheWorker::counts() const
{
    const std::lock_guard lock(_mutex);
    return _counts;
}

void CacheWorker::work(const std::stop_token& stop)
{
    ::setpriority(PRIO_PROCESS, 0, 10); // of this thread, and of what it starts
    std::unique_lock lock(_mutex);
    while (_changed.wait(lock, stop,
                         [this] { return !_jobs.empty() || !_attempts.empty() || _roomWanted; }))
    {
        if (stop.stop_requested())
            return;
        if (std::exchange(_roomWanted, false))
        {
            lock.unlock();
            relieve();
            lock.lock();
            continue;
        }
        if (!_attempts.empty())
        {
            const CachedAttempt attempt = std::move(_attempts.front());
            _attempts.pop_front();
            lock.unlock();
            note(attempt);
            lock.lock();
            continue;
        }
        const CacheJob job = std::move(_jobs.front());
        _jobs.pop_front();
        _saving = true;
        lock.unlock();
        if (!saveAll(job, stop))
            return; // the next daemon does it
        ::unlink(_store.pending(job.runId).c_str());
        lock.lock();
        _saving = false;
        if (!stop.stop_requested())
            forgetInterrupt();
        _held.erase(job.runId);
    }
}

/// Returns false when it was interrupted.
bool CacheWorker::saveAll(const CacheJob& job, const std::stop_token& stop)
{
    for (const CacheJob::OfStage& stage : job.stages)
    {
        const auto uses = usesIn(stage.report);
        if (!uses || uses->size() != stage.caches.size())
            continue;
        for (std::size_t i = 0; i < uses->size(); ++i)
        {
            const CacheUse& use = (*uses)[i];
            if (!use.key.empty() && !use.exact() && !isThere(job, use.key) &&
                !saveOne(job, stage.caches[i], use.key, stage.madeMs, stop))
                return false;
        }
    }
    return true;
}

bool CacheWorker::isThere(const CacheJob& job, const std::string& key) const
{
    return std::any_of(job.reads.begin(), job.reads.end(),
                       [&](const std::string& scope)
                       { return _store.has(job.service, scope, key); });
}

bool CacheWorker::saveOne(const CacheJob& job, const CacheSpec& cache, const std::string& key,
                          std::int64_t madeMs, const std::stop_token& stop)
{
    const std::string name = "cache " + key + " of " + job.serviceName + ", " + job.scopeName;
    const auto target = _store.archive(job.service, job.scope, key);
    if (const std::string why = _options.lack ? _options.lack() : ""; !why.empty())
    {
        _options.warn(name + " is not saved: " + why);
        return true;
    }
    ProgramEnd end;
    try
    {
        std::filesystem::create_directories(target.parent_path());
        const CacheSave order{.workspace = job.workspace,
                              .home = job.home,
                              .target = target.string(),
                              .temporary = _store.newArchive().string(),
                              .header = {.service = job.service,
                                         .scope = job.scope,
                                         .serviceName = job.serviceName,
                                         .scopeName = job.scopeName,
                                         .key = key,
                                         .createdAt = nowMs(),
                                         .madeMs = madeMs,
                                         .paths = cache.paths},
                              .parent = ::getpid()};
        end = runProgram({.argv = {_options.program.string(), "save", toJson(order)},
                          .timeout = std::chrono::milliseconds(_options.timeoutMs),
                          .mostMemory = memoryMost,
                          .stop = _interrupt.get()});
        if (!end.passed())
            ::unlink(order.temporary.c_str()); // of one that was killed
    }
    catch (const std::exception& error)
    {
        _options.warn(name + " is not saved: " + error.what());
        return true;
    }
    if (end.stopped && stop.stop_requested())
        return false;
    if (end.stopped)
    {
        forgetInterrupt();
        _options.warn(name + " is not saved: the disk became low meanwhile");
        return true;
    }
    const auto saved = end.passed() ? cacheSaveFrom(end.out) : std::nullopt;
    if (!saved)
    {
        _options.warn(name + " is not saved: " + end.describe());
        return true;
    }
    const std::int64_t bytes = saved->header.archiveBytes;
    FAILPOINT("cache.saved");
    if (bytes > _options.maxBytes)
    {
        ::unlink(target.c_str());
        _options.warn(name + " is not kept: it has " + sizeText(bytes) +
                      ", and caches.max_bytes is " + sizeText(_options.maxBytes));
        return true;
    }
    _options.info(name + " saved: " + sizeText(bytes) + ", " + std::to_string(saved->header.files) +
                  " files");
    {
        const std::lock_guard lock(_mutex);
        _counts.savedBytes += static_cast<std::uint64_t>(bytes);
        _some = true;
    }
    _store.evict(_options.maxBytes, [&](const std::string& what, std::int64_t size)
                 { _options.info(removedText(what, size) + ": more than caches.max_bytes"); });
    FAILPOINT("cache.evicted");
    return true;
}

void CacheWorker::note(const CachedAttempt& attempt)
{
    const auto uses = usesIn(attempt.report);
    if (!uses || uses->size() != attempt.caches)
        return; // it ended before it had restored anything
    CacheCounts now;
    std::int64_t shorter = 0;
    for (const CacheUse& use : *uses)
    {
        const bool readable =
            std::find(attempt.reads.begin(), attempt.reads.end(), use.scope) != attempt.reads.end();
        const auto found = use.found.empty() || !readable
                               ? std::nullopt
                               : _store.find(attempt.service, use.scope, use.found);
        if (use.found.empty())
            ++now.misses;
        else
            ++(use.exact() ? now.exact : now.prefix);
        if (!found)
            continue;
        _store.used(*found);
        now.restoredBytes += static_cast<std::uint64_t>(found->header.contentBytes);
        shorter = std::max(shorter, found->header.madeMs - attempt.durationMs);
    }
    if (!attempt.succeeded)
        shorter = 0;
    const std::lock_guard lock(_mutex);
    _counts.exact += now.exact;
    _counts.prefix += now.prefix;
    _counts.misses += now.misses;
    _counts.restoredBytes += now.restoredBytes;
    _counts.savedMs += static_cast<std::uint64_t>(shorter);
}

} // namespace agent
