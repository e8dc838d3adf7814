#include "agent/run/ClockState.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <system_error>

#include <sys/timex.h>
#include <systemd/sd-bus.h>

namespace agent
{

namespace
{

constexpr std::uint64_t longestUs = 1'000'000; // to be connected, and again for the answer

/// Returns whether the bus has taken us: sd_bus_call() alone would wait a minute and a half for one that is stuck.
bool connects(sd_bus* bus)
{
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::microseconds(longestUs);
    while (::sd_bus_is_ready(bus) == 0)
    {
        const int done = ::sd_bus_process(bus, nullptr);
        if (done < 0)
            return false;
        const auto left =
            std::chrono::duration_cast<std::chrono::microseconds>(end - Clock::now()).count();
        if (left <= 0)
            return false;
        if (done == 0 && ::sd_bus_wait(bus, static_cast<std::uint64_t>(left)) < 0)
            return false;
    }
    return ::sd_bus_is_ready(bus) > 0;
}

std::optional<bool> askTimedated()
{
    sd_bus* opened = nullptr;
    if (::sd_bus_open_system(&opened) < 0)
        return std::nullopt;
    const std::unique_ptr<sd_bus, decltype(&::sd_bus_close_unref)> bus(opened,
                                                                       ::sd_bus_close_unref);
    if (!connects(bus.get()))
        return std::nullopt;
    ::sd_bus_set_method_call_timeout(bus.get(), longestUs);
    int synchronised = 0;
    if (::sd_bus_get_property_trivial(bus.get(), "org.freedesktop.timedate1",
                                      "/org/freedesktop/timedate1", "org.freedesktop.timedate1",
                                      "NTPSynchronized", nullptr, 'b', &synchronised) < 0)
        return std::nullopt;
    return synchronised != 0;
}

} // namespace

std::optional<bool> clockIsSynchronised()
{
    timex clock{};
    if (const int state = ::adjtimex(&clock); state >= 0)
        return state != TIME_ERROR && (static_cast<unsigned>(clock.status) & STA_UNSYNC) == 0;
    std::error_code unknown;
    if (std::filesystem::exists("/run/systemd/timesync/synchronized", unknown))
        return true;
    return askTimedated();
}

} // namespace agent
