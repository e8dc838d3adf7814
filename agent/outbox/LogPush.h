#pragma once

#include "agent/outbox/TargetRequest.h"
#include "agent/store/Database.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace agent
{

/// The log of an attempt on its way to a target, piece by piece: whole, in order, each byte in one message. Where a piece
/// begins and ends is recorded before it is sent, so that one that is sent again is the same; a receiver tells it by its
/// id, which rises with the log.
///
/// A piece is what has been written since the last one, cut at the end of a line where there is one; the next one follows
/// after a pause that grows with their number, for receivers work on all of a stage's messages with each.
/// Threads: one at a time.
class LogPush
{
public:
    using FolderOf = std::function<std::filesystem::path(const Stage& stage, int attempt)>;

    /// No longer, as JSON: receivers take 100 kB.
    static constexpr std::size_t mostMessageBytes = 80'000;

    /// `report`: as it was written, or as body() has it. `mostBytes` of the log are pushed; 0: all.
    /// Errors: std::runtime_error where it is damaged.
    LogPush(const Report& report, std::uint64_t mostBytes);

    enum class Next
    {
        Piece, ///< request() has it; body() is to be recorded before, where it changed
        Later, ///< nothing was written meanwhile
        End    ///< all of it was confirmed, or it is gone
    };

    /// Decides what is to be done. Errors: std::runtime_error, std::system_error: the log can't be read.
    Next plan(RecordSession& reader, const FolderOf& folderOf);

    /// Whether a piece waits for its confirmation.
    [[nodiscard]] bool planned() const { return !_message.empty() || _to > _from; }

    [[nodiscard]] TargetRequest request(const TargetSpec& target) const;

    /// The piece was confirmed.
    void confirmed();

    /// When that was last, since we have it; before, when we got it.
    [[nodiscard]] TimeMs confirmedAt() const { return _confirmedAt; }

    /// How long to wait before the next look, in ms: longer after each that found nothing.
    [[nodiscard]] std::int64_t pauseMs() const;

    /// The body of its report, with how far it has come.
    [[nodiscard]] std::string body() const;

private:
    Next later();
    [[nodiscard]] std::string messageOf(const std::string& text) const;

    std::string _report; ///< its body, as it was when the push began or was taken up again
    std::string _stageId;
    std::string _logUrl;
    int _attempt = 1;
    const std::uint64_t _most;
    std::uint64_t _from = 0; ///< so far confirmed
    std::uint64_t _to = 0;   ///< to here planned
    std::int64_t _pieces = 0;
    int _quiet = 0; ///< looks in a row that found nothing
    TimeMs _confirmedAt = nowMs();
    TimeMs _at = 0;       ///< of the piece's first line
    TimeMs _score = 0;    ///< the same, but never falls
    std::string _message; ///< the JSON of the planned piece; empty: it is to be read again
};

} // namespace agent
