#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/outbox/TargetRequest.h"
#include "agent/outbox/TargetSpec.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>

#include <Poco/Net/HTTPClientSession.h>

namespace agent
{

/// Sends requests to one target, over one connection that is kept. Redirections are not followed.
/// Threads: one at a time, except for abort().
class TargetConnection
{
public:
    /// `caFile`: the authorities that certificates are checked against; empty: those of the system.
    TargetConnection(TargetSpec target, std::filesystem::path caFile);
    ~TargetConnection();

    /// Sends the request; where the target closed a kept connection, over a new one.
    /// Blocks: 10 s for each step of it, a connection, or a piece that is sent or received.
    Reply post(const TargetRequest& request);

    /// Connects, and sends nothing. Returns why that fails; empty where it does not. Blocks: as post().
    std::string reach();

    /// Ends the connection under a post() that waits for the target, and every later one at its start.
    void abort();

private:
    template <typename Session> class Checked;

    void connect();
    template <typename Session> void hold(std::unique_ptr<Session> session);
    Reply exchange(const TargetRequest& request);
    void opened(int descriptor);

    const TargetSpec _target;
    const std::filesystem::path _caFile;
    std::unique_ptr<Poco::Net::HTTPClientSession> _session; ///< null: none yet, or it failed
    std::function<void()> _reach;                           ///< connects _session
    bool _used = false;                                     ///< a request went over it already
    std::mutex _mutex;
    bool _aborted = false; // guarded by _mutex
    FileDescriptor _open;  // guarded by _mutex; a duplicate of the connection's, for abort()
};

} // namespace agent
