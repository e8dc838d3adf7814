#include "agent/exec/ExecLog.h"

#include "agent/wire/Order.h"

#include <algorithm>
#include <cerrno>
#include <climits>

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr std::size_t readBytes = 65536;

/// So much in one go: signals are looked at in between, also under a stage that never pauses.
constexpr int readsAtMost = 32;

/// Where inotify has no instance left for us.
constexpr std::int64_t lookEveryMs = 100;

} // namespace

ExecLog::ExecLog(std::filesystem::path folder, int to, bool raw)
    : _folder(std::move(folder)),
      _to(to),
      _raw(raw),
      _changes(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC))
{
    // The folder, for its log may not be there yet.
    if (_changes.valid() &&
        ::inotify_add_watch(_changes.get(), _folder.c_str(), IN_CREATE | IN_MODIFY) < 0)
        _changes = FileDescriptor();
}

std::optional<std::int64_t> ExecLog::pause() const
{
    if (_error != 0 || blocked())
        return std::nullopt;
    if (_more)
        return 0;
    return _changes.valid() ? std::nullopt : std::optional(lookEveryMs);
}

void ExecLog::copy(bool whole)
{
    char events[4096];
    while (_changes.valid() && ::read(_changes.get(), events, sizeof events) > 0)
        ;
    _more = false;
    for (int reads = 0; flush(); ++reads)
    {
        _more = reads == readsAtMost;
        if (_more)
            return;
        if (readOn())
            continue;
        if (!whole || _finished)
            return;
        _pending = _raw ? "" : _filter.finish();
        _finished = true;
    }
}

/// Returns false if `to` accepts no more.
bool ExecLog::flush()
{
    std::size_t taken = 0;
    while (_error == 0 && taken < _pending.size())
    {
        // A pipe that is ready has room for so much; whether it blocks is its other users' to say.
        pollfd ready{.fd = _to, .events = POLLOUT, .revents = 0};
        if (::poll(&ready, 1, 0) <= 0)
            break;
        const auto size = std::min<std::size_t>(PIPE_BUF, _pending.size() - taken);
        const ssize_t written = ::write(_to, _pending.data() + taken, size);
        if (written > 0)
        {
            taken += static_cast<std::size_t>(written);
            _withinLine = _pending[taken - 1] != '\n';
        }
        else if (written == 0 || errno == EAGAIN)
            break;
        else if (errno != EINTR)
            _error = errno;
    }
    _pending.erase(0, taken);
    return _error == 0 && _pending.empty();
}

/// Returns false if the log has no more for now.
bool ExecLog::readOn()
{
    if (!_log.valid())
        _log = FileDescriptor(
            ::open((_folder / files::log).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    char buffer[readBytes];
    const ssize_t size = _log.valid() ? ::read(_log.get(), buffer, sizeof buffer) : 0;
    if (size <= 0)
        return false;
    const std::string_view bytes(buffer, static_cast<std::size_t>(size));
    _pending = _raw ? std::string(bytes) : _filter.filter(bytes);
    return true;
}

} // namespace agent
