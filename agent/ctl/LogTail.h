#pragma once

#include "agent/ctl/Client.h"
#include "agent/model/Timestamp.h"

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
    std::optional<TimeMs> since = {}; ///< only lines written then or later
};

/// The log of one attempt while it grows. Each call goes on where the last one ended (Range), however that
/// ended, so over a restart of the agent there is neither a gap nor a repeated byte.
class LogTail
{
public:
    LogTail(const Client& client, LogChoice choice) : _client(client), _choice(std::move(choice)) {}

    using Sink = std::function<void(std::string_view)>;

    /// Hands over what is new; nothing while there is no log yet.
    /// Errors: as Client::ask; what was handed over until then is not given again.
    void read(const Sink& sink);

    /// As read(), of an attempt that is over: hands over all that is left, or fails.
    void readRest(const Sink& sink);

    /// Hands over what comes as it comes. Blocks: until the attempt is over, nothing came for a minute, or
    /// the connection is lost: look then, and call it again where the attempt goes on.
    /// Shape: false when nothing came. Errors: what the agent refuses.
    bool follow(const Sink& sink);

    /// Hands over the last `lines` lines only, and goes on from the log's end.
    void readLast(std::size_t lines, const Sink& sink);

private:
    [[nodiscard]] Call call(bool follow) const;
    Answer get(const Call& call, const Sink& sink);
    void begin(const Answer& head);
    void advance(std::string_view piece);

    const Client& _client;
    LogChoice _choice;
    std::uint64_t _offset = 0; ///< of the next byte of the log
    std::size_t _stamp =
        0; ///< how much of the current line's timestamp came; all of it within the line
    bool _placed = false; ///< _offset is the place where the next call begins
};

/// Where the last `lines` lines of `text` begin. A text that does not end in a line end ends in a line
/// all the same.
std::size_t lastLinesAt(std::string_view text, std::size_t lines);

} // namespace agent::ctl
