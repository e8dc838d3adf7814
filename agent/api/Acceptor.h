#pragma once

#include "agent/api/Listener.h"

#include <vector>

namespace agent
{

/// Takes connections from the listening sockets, and asks the kernel who is at the other end.
/// Threads: the loop's.
class Acceptor
{
public:
    struct Accepted
    {
        FileDescriptor socket; ///< non-blocking; invalid: see `full`
        Peer peer;
        bool tls = false;
        bool full = false; ///< one waits, but there is no descriptor or memory for it
    };

    explicit Acceptor(std::vector<Listener> listeners) : _listeners(std::move(listeners)) {}

    /// Starts or stops to watch the sockets. Returns whether all are watched.
    bool watch(int epoll, bool on) const;

    /// Returns the listener with this descriptor, null if there is none.
    [[nodiscard]] const Listener* find(int fd) const;

    /// Accepts the next connection; without socket when none waits.
    static Accepted accept(const Listener& listener);

    void close() { _listeners.clear(); }

private:
    std::vector<Listener> _listeners;
};

} // namespace agent
