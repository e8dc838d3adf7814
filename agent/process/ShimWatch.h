#pragma once

#include "agent/process/Launcher.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// Waits for the ends of shims and for the engine's mailbox, in one epoll.
/// Threads: the engine's, but for wake(), which any thread may call.
class ShimWatch
{
public:
    ShimWatch();

    /// Watches `shim` under `key` until it ended. Owner: takes the shim.
    void add(const std::string& key, Shim shim);

    /// The shim watched under `key`; nullptr when there is none.
    [[nodiscard]] const Shim* find(const std::string& key) const;

    /// How many are watched.
    [[nodiscard]] std::size_t size() const;

    /// From now on wait() also ends when `descriptor` can be read. Owner: the caller.
    void alsoWakeOn(int descriptor);

    /// The same when `descriptor`, which took no more, takes some again. One that always does, such as a
    /// file's, is fine.
    void alsoWakeOnRoom(int descriptor);

    /// Blocks until a shim ended, wake() was called or `timeoutMs` passed (none: for ever).
    /// Shape: the keys of shims that ended; they are reaped and no longer watched.
    std::vector<std::string> wait(std::optional<std::int64_t> timeoutMs);

    /// Ends a wait() from another thread.
    void wake() noexcept;

private:
    struct Watched
    {
        std::string key;
        Shim shim;
    };

    FileDescriptor _epoll;
    FileDescriptor _wake;
    std::vector<Watched> _shims;
};

} // namespace agent
