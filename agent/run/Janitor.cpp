#include "agent/run/Janitor.h"

#include "agent/model/Id.h"

#include <system_error>
#include <vector>

namespace agent
{

namespace
{

void unlockFolders(const std::filesystem::path& root)
{
    namespace fs = std::filesystem;
    std::error_code error;
    fs::permissions(root, fs::perms::owner_all, fs::perm_options::add | fs::perm_options::nofollow,
                    error);
    for (auto entry = fs::directory_iterator(root, error);
         !error && entry != fs::directory_iterator(); entry.increment(error))
        if (entry->symlink_status().type() == fs::file_type::directory)
            unlockFolders(entry->path());
}

} // namespace

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
        std::vector<std::filesystem::path> folders;
        for (auto entry = std::filesystem::directory_iterator(_trash, error);
             !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
            folders.push_back(entry->path());
        for (const auto& folder : folders)
        {
            std::filesystem::remove_all(folder, error);
            if (!error)
                continue;
            unlockFolders(folder); // some build tools leave folders without the right to write
            std::filesystem::remove_all(folder, error);
        }
        lock.lock();
    }
}

} // namespace agent
