#include "agent/api/Follower.h"
#include "agent/store/TimestampedLog.h"

#include <algorithm>

namespace agent
{

namespace
{

/// What is made in memory is made in small pieces, for a blocked client keeps one.
constexpr std::uint64_t pieceBytes = 16'384;

/// Whether no further attempt is to come.
bool stageOver(const FollowedRun& run, const Stage& stage)
{
    return stage.ended() ||
           (stage.status == Status::Idle && (run.run.ended() || !stage.skipped.empty()));
}

} // namespace

Follower::Progress TextFollower::pump(ClientSocket& socket)
{
    std::uint64_t sent = 0;
    while (!socket.blocked() && !socket.gone())
    {
        const auto run = _parts.runs.get(_wish.runId);
        const Stage* stage = run->stage(_wish.stageId);
        const bool over = stage == nullptr || attemptOver(*stage, _wish.attempt);
        if (stage != nullptr && stage->attempt >= _wish.attempt && !_log)
            _log = _parts.logs.open(_parts.state.attempt(*stage, _wish.attempt));
        LogReader* log = _log ? _log->reader(over) : nullptr;
        if (log != nullptr && _wish.from < log->size())
        {
            if (sent >= turnBytes)
                return Progress::More;
            sent += sendSome(socket, *log);
            continue;
        }
        if (stage == nullptr || (_wish.onlyThat && over))
            return Progress::Ended;
        if (stage->attempt > _wish.attempt && !_wish.onlyThat)
        {
            ++_wish.attempt;
            _wish.from = 0;
            _log.reset();
            continue;
        }
        return stageOver(*run, *stage) ? Progress::Ended : Progress::Waits;
    }
    return Progress::Waits;
}

std::uint64_t TextFollower::sendSome(ClientSocket& socket, LogReader& log)
{
    const std::uint64_t begin = _wish.from;
    if (!_wish.timestamps && log.descriptor() >= 0)
    {
        const auto size = std::min(turnBytes, log.size() - begin);
        _wish.from += socket.sendFile(log.descriptor(), begin, size);
        return _wish.from - begin;
    }
    std::string piece;
    if (_wish.timestamps)
    {
        TimestampedLog stamped(log, begin, begin + pieceBytes);
        stamped.next(piece);
        _wish.from = stamped.position();
    }
    else
    {
        piece.resize(pieceBytes);
        piece.resize(log.read(begin, piece.data(), piece.size()));
        _wish.from += piece.size();
    }
    socket.send(piece);
    if (_wish.from == begin)
        socket.close(); // the log became shorter, which never happens
    return piece.size();
}

} // namespace agent
