#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace agent
{

/// Feeds systemd's watchdog (WatchdogSec= of the unit) for as long as all parts of the daemon answer. Each is asked
/// three times an interval. Without a watchdog there is no thread.
///
/// A full disk or a failing record is an answer: another start would mend neither. So is a wait for the kernel, as in
/// a slow fsync. A part that does not answer is hung only when none of its threads is in such a wait: they wait for each
/// other, are stopped, or compute without end.
/// Source: sd_watchdog_enabled(3), systemd.service(5).
class Watchdog
{
public:
    struct Part
    {
        std::string name;                 ///< for the journal
        std::vector<std::string> threads; ///< their names
        /// Returns whether the part answered within `timeout`; blocks no longer. That it throws is an answer.
        std::function<bool(std::chrono::milliseconds timeout)> answers;
    };

    /// `log` takes a line about a part that does not answer. Threads: the watchdog's.
    Watchdog(std::vector<Part> parts, std::function<void(const std::string&)> log);
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

    /// Ends the thread, as the destructor does. Blocks until the parts that are being asked have answered.
    void stop();

private:
    void work(const std::stop_token& stop);

    const std::vector<Part> _parts;
    const std::function<void(const std::string&)> _log;
    std::chrono::milliseconds _interval{0};
    std::mutex _mutex;
    std::condition_variable_any _changed;
    std::jthread _thread;
};

} // namespace agent
