#include "agent/ServiceStatus.h"

#include <chrono>
#include <cstdlib>

#include <sys/prctl.h>
#include <systemd/sd-daemon.h>

namespace agent
{

namespace
{

/// A busy agent starts and ends hundreds of runs in it, and nobody reads so many lines.
constexpr std::chrono::seconds pause{1};

} // namespace

std::string statusText(const EngineStatus& status)
{
    std::string text;
    if (status.diskLow)
        text = "full disk: " + status.diskLack + ", no new stage starts; ";
    if (!status.alive)
        text += "the record can't be written; ";
    text +=
        std::to_string(status.running) + " running, " + std::to_string(status.queued) + " queued";
    if (!status.blockedSlots.empty())
        text += ", " + std::to_string(status.blockedSlots.size()) + " set aside";
    return text + (status.draining ? ", draining" : "");
}

void ServiceStatus::start(std::function<EngineStatus()> status)
{
    if (std::getenv("NOTIFY_SOCKET") == nullptr)
        return;
    _thread = std::jthread([this, status = std::move(status)](const std::stop_token& stop)
                           { work(stop, status); });
}

void ServiceStatus::changed()
{
    const std::lock_guard lock(_mutex);
    _changed = true;
    _wake.notify_one();
}

void ServiceStatus::stop()
{
    _thread = {};
}

void ServiceStatus::work(const std::stop_token& stop, const std::function<EngineStatus()>& status)
{
    ::prctl(PR_SET_NAME, "status");
    std::string told;
    std::unique_lock lock(_mutex);
    while (_wake.wait(lock, stop, [this] { return _changed; }))
    {
        _changed = false;
        lock.unlock();
        const std::string text = statusText(status());
        if (text != told)
            ::sd_notify(0, ("STATUS=" + text).c_str());
        told = text;
        lock.lock();
        _wake.wait_for(lock, stop, pause, [] { return false; });
    }
}

} // namespace agent
