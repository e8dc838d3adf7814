#pragma once

#include "agent/process/Launcher.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// The end of a shim.
struct ShimEnd
{
    std::string key; ///< as it was added
    int pid = 0;
    std::string outcome; ///< the text that it told; empty: it told none, or we had no socket to it
    std::optional<int> code; ///< its exit code; none: it was killed, or is none of our children
};

/// Waits for the ends of shims, for what they say meanwhile and for the engine's mailbox, in one epoll.
/// Threads: the engine's, but for wake(), which any thread may call.
class ShimWatch
{
public:
    ShimWatch();

    /// Watches `shim` under `key` until it ended, and `folder` for its held.json as far as the host lets
    /// us: there may be too many watches. Owner: takes the shim.
    void add(const std::string& key, Shim shim, const std::filesystem::path& folder = {});

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
    /// Returns the shims that ended; they are reaped and no longer watched.
    std::vector<ShimEnd> wait(std::optional<std::int64_t> timeoutMs);

    /// The keys of shims that put a held.json into their folders, since the last call.
    std::set<std::string> takeHeld() { return std::exchange(_held, {}); }

    /// Returns the keys of our child shims that were stopped (SIGSTOP) since the last call; they were continued.
    /// SIGCHLD must be blocked in every thread.
    std::set<std::string> takeStopped() { return std::exchange(_stopped, {}); }

    /// Ends a wait() from another thread.
    void wake() noexcept;

private:
    struct Watched
    {
        std::string key;
        Shim shim;
        int folder = -1; ///< its watch; -1: none
    };

    void readNames();
    void readChanges();

    FileDescriptor _epoll;
    FileDescriptor _wake;
    FileDescriptor _names;   ///< inotify: the names that come into folders
    FileDescriptor _changes; ///< signalfd: SIGCHLD
    std::vector<Watched> _shims;
    std::set<std::string> _held;    ///< returned by the next takeHeld()
    std::set<std::string> _stopped; ///< returned by the next takeStopped()
};

} // namespace agent
