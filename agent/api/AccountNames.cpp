#include "agent/api/AccountNames.h"

#include <pwd.h>

#include <vector>

namespace agent
{

namespace
{

constexpr std::chrono::minutes remembered{1};
constexpr std::chrono::seconds patience{2};
constexpr std::size_t mostKnown = 1024;
constexpr std::size_t entrySize = 16'384; // of passwd(5), far above _SC_GETPW_R_SIZE_MAX

std::string lookUp(uid_t uid)
{
    passwd entry{};
    passwd* found = nullptr;
    std::vector<char> buffer(entrySize);
    if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr &&
        *found->pw_name != '\0')
        return found->pw_name;
    return std::to_string(uid);
}

} // namespace

std::string AccountNames::of(uid_t uid)
{
    std::unique_lock lock(_mutex);
    const auto known = [&]
    {
        const auto entry = _known.find(uid);
        return entry != _known.end() && entry->second.until > Clock::now() ? &entry->second
                                                                           : nullptr;
    };
    if (!_free.wait_for(lock, patience, [&] { return known() != nullptr || !_busy; }))
        return std::to_string(uid);
    if (const Known* entry = known())
        return entry->name;
    _busy = true;
    lock.unlock();
    std::string name = lookUp(uid);
    lock.lock();
    _busy = false;
    if (_known.size() >= mostKnown)
        _known.clear();
    _known[uid] = {.name = name, .until = Clock::now() + remembered};
    _free.notify_all();
    return name;
}

} // namespace agent
