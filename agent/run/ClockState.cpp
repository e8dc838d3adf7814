#include "agent/run/ClockState.h"

#include <filesystem>
#include <memory>
#include <system_error>

#include <sys/timex.h>
#include <systemd/sd-bus.h>

namespace agent
{

namespace
{

constexpr std::uint64_t longestUs = 2'000'000;

std::optional<bool> askTimedated()
{
    sd_bus* opened = nullptr;
    if (::sd_bus_open_system(&opened) < 0)
        return std::nullopt;
    const std::unique_ptr<sd_bus, decltype(&::sd_bus_flush_close_unref)> bus(
        opened, ::sd_bus_flush_close_unref);
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
