#include "agent/run/Janitor.h"

#include "agent/model/Id.h"

#include <system_error>

namespace agent
{

Janitor::Janitor(std::filesystem::path trash) : _trash(std::move(trash))
{
    _thread = std::thread([this] { work(); });
}

Janitor::~Janitor()
{
    {
        const std::lock_guard lock(_mutex);
        _stopping = true;
    }
    _changed.notify_all();
    _thread.join();
}

void Janitor::discard(const std::filesystem::path& folder)
{
    std::error_code error;
    std::filesystem::rename(folder, _trash / newId(), error);
    if (error)
        return; // not there, or the disk is unwell: the next start of the daemon finds no row for it
    {
        const std::lock_guard lock(_mutex);
        _pending = true;
    }
    _changed.notify_all();
}

void Janitor::work()
{
    std::unique_lock lock(_mutex);
    while (true)
    {
        _changed.wait(lock, [this] { return _pending || _stopping; });
        if (_stopping)
            return;
        _pending = false;
        lock.unlock();
        std::error_code error;
        // remove_all goes by openat and unlinkat and follows no symlink.
        for (const auto& entry : std::filesystem::directory_iterator(_trash, error))
            std::filesystem::remove_all(entry.path(), error);
        lock.lock();
    }
}

} // namespace agent
