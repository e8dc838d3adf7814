#pragma once

#include "agent/ctl/Client.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace agent::ctl
{

/// Which log is wanted.
struct LogChoice
{
    std::string stageId;
    std::optional<std::int64_t> attempt; ///< the newest when none is named
    bool timestamps = false;
};

/// The log of one attempt while it grows. Each read asks for what came after the last one (Range), so
/// it goes on over a restart of the agent without a gap or a repeated byte.
class LogTail
{
public:
    LogTail(const Client& client, LogChoice choice) : _client(client), _choice(std::move(choice)) {}

    using Sink = std::function<void(std::string_view)>;

    /// Hands over what is new; nothing while there is no log yet.
    /// Errors: as Client::ask; what was handed over until then is not given again.
    void read(const Sink& sink);

    /// Hands over the last `lines` lines only, and goes on from the log's end.
    void readLast(std::size_t lines, const Sink& sink);

    /// Goes on with another log from its beginning.
    void restart(LogChoice choice)
    {
        _choice = std::move(choice);
        _offset = 0;
    }

private:
    [[nodiscard]] std::string path() const;

    const Client& _client;
    LogChoice _choice;
    std::uint64_t _offset = 0;
};

/// Where the last `lines` lines of `text` begin. A text that does not end in a line end ends in a line
/// all the same.
std::size_t lastLinesAt(std::string_view text, std::size_t lines);

} // namespace agent::ctl
