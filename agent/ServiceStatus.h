#pragma once

#include "agent/run/EngineStatus.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace agent
{

/// What the agent does, in a line: `3 running, 2 queued`; what people should see to comes first.
std::string statusText(const EngineStatus& status);

/// Tells systemd what the agent does, for `systemctl status`: after a change, and once a second at most. Without
/// systemd there is no thread.
/// Source: sd_notify(3), STATUS=.
class ServiceStatus
{
public:
    ServiceStatus() = default;
    ServiceStatus(const ServiceStatus&) = delete;
    ServiceStatus& operator=(const ServiceStatus&) = delete;

    /// `status` is called on a thread of its own, until stop().
    void start(std::function<EngineStatus()> status);

    /// The status may have changed. Threads: any. Never blocks.
    void changed();

    void stop();

private:
    void work(const std::stop_token& stop, const std::function<EngineStatus()>& status);

    std::mutex _mutex;
    std::condition_variable_any _wake;
    bool _changed = true; // guarded by _mutex
    std::jthread _thread;
};

} // namespace agent
