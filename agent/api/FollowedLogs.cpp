#include "agent/api/FollowedLogs.h"

#include "agent/api/Json.h"

#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

#include <sys/inotify.h>

namespace agent
{

namespace
{

constexpr std::size_t blockBytes = 16384;
constexpr std::size_t blockLines = 128;

// The record in log.idx follows the bytes that it tells of.
constexpr std::uint32_t interest =
    IN_CREATE | IN_MOVED_TO | IN_MODIFY | IN_ONLYDIR | IN_EXCL_UNLINK | IN_DELETE_SELF;

} // namespace

LogReader* FollowedLog::reader(bool over)
{
    if (_stale || (over && !_over))
    {
        _stale = false;
        _over = over;
        _blockFresh = false;
        const auto extent = over ? LogReader::Extent::All : LogReader::Extent::Indexed;
        if (_reader && (over || _reader->hasIndex()))
            _reader->refresh(extent);
        else
            _reader = LogReader::open(_folder, extent);
    }
    return _reader ? &*_reader : nullptr;
}

const FollowedLog::Block& FollowedLog::events(std::uint64_t line, bool over,
                                              const std::string& prefix, const std::string& stageId,
                                              int attempt)
{
    LogReader* log = reader(over);
    if (_blockFresh && _blockAfter == line && _blockPrefix == prefix)
        return _block;
    _block.text.clear();
    _block.line = line;
    _blockAfter = line;
    _blockPrefix = prefix;
    _blockFresh = true;
    if (log == nullptr)
        return _block;
    for (const LogLine& entry : log->lines(line, blockLines))
    {
        if ((!entry.whole && !over) || _block.text.size() > blockBytes)
            break;
        _block.line = entry.number;
        _block.text += "id: " + prefix + std::to_string(entry.number) + "\nevent: log\ndata: ";
        _block.text += logLineJson(entry, stageId, attempt);
        _block.text += "\n\n";
    }
    return _block;
}

FollowedLogs::FollowedLogs(std::filesystem::path runs)
    : _runs(std::move(runs)), _inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC))
{
    if (!_inotify.valid())
        throw std::system_error(errno, std::generic_category(),
                                errno == EMFILE
                                    ? "no inotify instance is left for this user; raise "
                                      "fs.inotify.max_user_instances with sysctl(8)"
                                    : "inotify_init1");
}

std::shared_ptr<FollowedLog> FollowedLogs::open(const std::filesystem::path& folder)
{
    auto& known = _logs[folder];
    if (auto log = known.lock())
        return log;
    auto log = std::make_shared<FollowedLog>(folder);
    known = log;
    watch(folder);
    return log;
}

void FollowedLogs::watch(const std::filesystem::path& attempt)
{
    while (true)
    {
        std::filesystem::path at = attempt;
        std::filesystem::path missing;
        int descriptor = -1;
        while ((descriptor = ::inotify_add_watch(_inotify.get(), at.c_str(), interest)) < 0 &&
               errno == ENOENT && at != _runs)
        {
            missing = at;
            at = at.parent_path();
        }
        if (descriptor < 0)
            throw std::system_error(errno, std::generic_category(), "inotify_add_watch");
        Watch& entry = _watches[descriptor];
        entry.folder = at;
        entry.attempts.insert(attempt);
        std::error_code ignored;
        if (missing.empty() || !std::filesystem::exists(missing, ignored))
            return;
        forget(descriptor, attempt); // it was made meanwhile, and no event will follow
    }
}

void FollowedLogs::forget(int descriptor, const std::filesystem::path& attempt)
{
    const auto entry = _watches.find(descriptor);
    if (entry == _watches.end())
        return;
    entry->second.attempts.erase(attempt);
    if (!entry->second.attempts.empty())
        return;
    _watches.erase(entry);
    ::inotify_rm_watch(_inotify.get(), descriptor);
}

void FollowedLogs::look()
{
    alignas(inotify_event) std::array<char, 16384> buffer;
    ssize_t got = 0;
    while ((got = ::read(_inotify.get(), buffer.data(), buffer.size())) > 0)
    {
        for (const char* at = buffer.data(); at < buffer.data() + got;)
        {
            const auto* event = reinterpret_cast<const inotify_event*>(at);
            take(event->wd, event->mask, event->len > 0 ? event->name : "");
            at += sizeof(inotify_event) + event->len;
        }
        // What comes while the followers are served is told in the next round.
        if (static_cast<std::size_t>(got) < buffer.size() / 2)
            return;
    }
}

void FollowedLogs::take(int descriptor, std::uint32_t mask, std::string_view name)
{
    if ((mask & IN_Q_OVERFLOW) != 0)
        return touchAll();
    const auto found = _watches.find(descriptor);
    if (found == _watches.end())
        return;
    if ((mask & (IN_IGNORED | IN_DELETE_SELF)) != 0)
    {
        _watches.erase(
            found); // the folder is gone, and the log with it: followers read what they hold
        return;
    }
    const auto here = found->second.attempts.find(found->second.folder);
    if (here != found->second.attempts.end() && name == files::logIndex)
        if (const auto log = _logs[*here].lock())
            log->touch();
    if ((mask & IN_ISDIR) == 0)
        return;
    std::vector<std::filesystem::path> below;
    for (const auto& attempt : found->second.attempts)
        if (attempt != found->second.folder)
            below.push_back(attempt);
    for (const auto& attempt : below)
    {
        forget(descriptor, attempt);
        watch(attempt);
        if (const auto log = _logs[attempt].lock())
            log->touch();
    }
}

void FollowedLogs::touchAll()
{
    for (const auto& [folder, known] : _logs)
        if (const auto log = known.lock())
            log->touch();
}

void FollowedLogs::sweep()
{
    std::erase_if(_logs, [](const auto& entry) { return entry.second.expired(); });
    for (auto entry = _watches.begin(); entry != _watches.end();)
    {
        std::erase_if(entry->second.attempts,
                      [this](const auto& attempt) { return !_logs.contains(attempt); });
        const int descriptor = entry->first;
        entry = entry->second.attempts.empty() ? _watches.erase(entry) : std::next(entry);
        if (!_watches.contains(descriptor))
            ::inotify_rm_watch(_inotify.get(), descriptor);
    }
}

} // namespace agent
