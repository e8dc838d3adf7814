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

/// Which log to read, and how.
struct LogChoice
{
    std::string stageId;
    std::optional<std::int64_t> attempt; ///< nullopt: the newest
    bool timestamps = false;
    std::optional<TimeMs> since = {}; ///< only lines from this time on
};

/// Reads the log of one attempt while it grows. Each call resumes where the last one ended (Range), even
/// after an error, so that a restart of the agent causes neither a gap nor a repeated byte.
class LogTail
{
public:
    LogTail(const Client& client, LogChoice choice) : _client(client), _choice(std::move(choice)) {}

    using Sink = std::function<void(std::string_view)>;

    /// Passes the new bytes to `sink`; none while there is no log yet.
    /// Errors: as Client::ask; bytes passed until then are not passed again.
    void read(const Sink& sink);

    /// As read(), of an attempt that has ended: passes the whole rest, or fails.
    void readRest(const Sink& sink);

    /// Passes bytes as they arrive; returns whether any did.
    /// Blocks until the attempt has ended, nothing arrived for a minute, or the connection is lost; call it
    /// again if the attempt is still running.
    /// Errors: as Client::ask, except Unreachable.
    bool follow(const Sink& sink);

    /// Passes only the last `lines` lines; later calls resume from the log's end.
    void readLast(std::size_t lines, const Sink& sink);

private:
    [[nodiscard]] Call call(bool follow) const;
    Answer get(const Call& call, const Sink& sink);
    void begin(const Answer& head);
    void advance(std::string_view piece);

    const Client& _client;
    LogChoice _choice;
    std::uint64_t _offset = 0; ///< of the next byte of the log
    std::size_t _stamp = 0;    ///< bytes received of the current line's timestamp
    bool _placed = false;      ///< _offset is where the next call begins
};

/// Returns the offset of the last `lines` lines of `text`. An unterminated last line counts.
std::size_t lastLinesAt(std::string_view text, std::size_t lines);

} // namespace agent::ctl
