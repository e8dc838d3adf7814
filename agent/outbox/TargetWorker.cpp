#include "agent/outbox/TargetWorker.h"

#include "agent/store/OutboxStore.h"

#include <Poco/Exception.h>

#include <algorithm>
#include <chrono>

#include <sys/prctl.h>

namespace agent
{

namespace
{

constexpr std::int64_t recordDoneAfterMs = 500;
constexpr std::size_t recordDoneAtOnce = 500;
constexpr std::int64_t lookForOldEveryMs = 60'000;
constexpr std::int64_t againMs = 1'000; ///< after an error of the record
constexpr std::size_t readAtOnce = 500;
constexpr std::size_t mostSubjects = 10'000;

std::string textOf(const std::exception& error)
{
    const auto* known = dynamic_cast<const Poco::Exception*>(&error);
    return known != nullptr ? known->displayText() : error.what();
}

std::uint64_t seedOf(const std::string& name)
{
    return std::hash<std::string>{}(name) ^ static_cast<std::uint64_t>(steadyMs());
}

} // namespace

TargetWorker::TargetWorker(TargetSpec target, OutboxParts& parts, std::function<void()> ended)
    : _target(std::move(target)),
      _parts(parts),
      _ended(std::move(ended)),
      _connection(_target, parts.caFile),
      _queue(seedOf(_target.name))
{
    _status.name = _target.name;
    _status.type = _target.type;
    _status.url = shownUrl(_target.url);
}

TargetWorker::~TargetWorker()
{
    stop();
}

void TargetWorker::start()
{
    _thread = std::thread([this] { work(); });
}

void TargetWorker::wake()
{
    const std::lock_guard lock(_mutex);
    _news = true;
    _changed.notify_one();
}

void TargetWorker::askToStop()
{
    {
        const std::lock_guard lock(_mutex);
        _stopping = true;
        _changed.notify_one();
    }
    _connection.abort();
}

void TargetWorker::stop()
{
    askToStop();
    if (_thread.joinable())
        _thread.join();
}

void TargetWorker::retry(const std::string& lane)
{
    const std::lock_guard lock(_mutex);
    _queue.retry(lane);
    _changed.notify_one();
}

void TargetWorker::work()
{
    ::prctl(PR_SET_NAME, "outbox");
    while (true)
    {
        std::optional<TargetQueue::Entry> entry;
        try
        {
            readOn();
            dropOld();
            dropSurplus();
            if (_done.size() >= recordDoneAtOnce ||
                (!_done.empty() && steadyMs() - _doneSince >= recordDoneAfterMs))
                recordDone();
        }
        catch (const std::exception& error)
        {
            _parts.log("the reports for " + _target.name + " can't be read: " + textOf(error));
            std::unique_lock lock(_mutex);
            _news = true; // readOn() may have been stopped before its look
            _changed.wait_for(lock, std::chrono::milliseconds(againMs),
                              [this] { return _stopping; });
        }
        {
            const std::lock_guard lock(_mutex);
            if (_stopping || _isEnded)
                break;
            entry = _queue.due(steadyMs());
        }
        if (entry)
            send(*entry);
        else
            rest();
    }
    recordDone();
}

/// Fills the queue from the record.
void TargetWorker::readOn()
{
    std::size_t room = 0;
    {
        const std::lock_guard lock(_mutex);
        if (!_news || _queue.size() >= TargetQueue::most / 2)
            return;
        room = TargetQueue::most - _queue.size();
        _news = false; // before the look, so that what comes during it is not missed
    }
    while (room > 0)
    {
        const std::size_t asked = std::min(room, readAtOnce);
        auto reader = _parts.database.reader();
        auto found = OutboxStore(*reader).waiting(_target.name, _read, static_cast<int>(asked));
        const std::lock_guard lock(_mutex);
        for (auto& entry : found)
        {
            _read = entry.seq;
            _queue.add(std::move(entry));
        }
        room -= found.size();
        if (found.size() < asked)
            return;
    }
    const std::lock_guard lock(_mutex);
    _news = true;
}

void TargetWorker::send(const TargetQueue::Entry& entry)
{
    std::vector<TargetRequest> requests;
    try
    {
        auto reader = _parts.database.reader();
        const auto report = OutboxStore(*reader).find(entry.seq);
        if (!report)
        {
            _logs.erase(entry.seq);
            const std::lock_guard lock(_mutex); // an operator dropped it
            return _queue.done(entry, false);
        }
        if (report->event == reportEvents::stageLog)
            return sendPiece(entry, *report);
        requests = requestsFor(_target, *report);
    }
    catch (const std::exception& error)
    {
        return take(entry, {.text = "the report can't be read: " + textOf(error)});
    }
    if (requests.empty() || isOutdated(requests.front()))
        return pass(entry);
    Reply reply;
    for (const auto& request : requests)
    {
        reply = _connection.post(request);
        if (reply.kind != Reply::Kind::Confirmed)
            break;
    }
    if (reply.kind == Reply::Kind::Confirmed && !requests.front().subject.empty())
        _newest[requests.front().subject] = requests.front().of;
    take(entry, reply);
}

/// Whether the state of a newer run has been sent: reports of several runs have no order among each other.
bool TargetWorker::isOutdated(const TargetRequest& request)
{
    if (_newest.size() > mostSubjects)
        _newest.clear();
    const auto sent = _newest.find(request.subject);
    return sent != _newest.end() && request.of < sent->second;
}

/// Sends what has been written of a log since the last piece. Errors: any; it is tried again.
void TargetWorker::sendPiece(const TargetQueue::Entry& entry, const Report& report)
{
    LogPush& log =
        _logs.try_emplace(entry.seq, report, static_cast<std::uint64_t>(_target.logBytes))
            .first->second;
    const bool planned = log.planned();
    LogPush::Next next = LogPush::Next::End;
    {
        auto reader = _parts.database.reader();
        next = log.plan(*reader, _parts.logFolder);
    }
    if (next == LogPush::Next::Piece)
    {
        try
        {
            if (!planned)
                _parts.update(entry.seq, log.body());
        }
        catch (const std::exception&)
        {
            _logs.erase(entry.seq); // to be planned anew: none is sent that is not recorded
            throw;
        }
        const Reply reply = _connection.post(log.request(_target));
        if (reply.kind != Reply::Kind::Confirmed)
        {
            if (reply.kind != Reply::Kind::Failed)
                _logs.erase(entry.seq);
            return take(entry, reply);
        }
        log.confirmed();
    }
    if (next == LogPush::Next::End)
    {
        _logs.erase(entry.seq);
        return pass(entry);
    }
    const bool sent = next == LogPush::Next::Piece;
    {
        const std::lock_guard lock(_mutex);
        _queue.later(entry, steadyMs() + log.pauseMs(), sent);
        _status.sent += sent ? 1 : 0;
    }
    if (sent)
        logChange("");
}

/// The report does not concern the target.
void TargetWorker::pass(const TargetQueue::Entry& entry)
{
    {
        const std::lock_guard lock(_mutex);
        _queue.done(entry, false);
    }
    remember(entry.seq);
}

/// To be taken off the record.
void TargetWorker::remember(std::int64_t seq)
{
    if (_done.empty())
        _doneSince = steadyMs();
    _done.push_back(seq);
}

void TargetWorker::take(const TargetQueue::Entry& entry, const Reply& reply)
{
    const bool failed = reply.kind == Reply::Kind::Failed;
    {
        const std::lock_guard lock(_mutex);
        if (failed && _stopping)
            return; // it may be our own doing
        if (failed)
            _queue.failed(entry, steadyMs(), reply.waitMs);
        else
            _queue.done(entry, reply.kind == Reply::Kind::Confirmed);
        _status.sent += reply.kind == Reply::Kind::Confirmed ? 1 : 0;
        _status.failures += failed ? 1 : 0;
        _status.dropped += reply.kind == Reply::Kind::Refused ? 1 : 0;
    }
    if (reply.kind == Reply::Kind::Gone)
        return end();
    logChange(failed ? reply.text : "");
    if (failed)
        return;
    if (reply.kind == Reply::Kind::Refused)
        _parts.log("the target " + _target.name + " refuses a report of run " + entry.runId +
                   " for good (" + reply.text + "): dropped");
    remember(entry.seq);
}

/// Tells when a target begins to fail and when it is well again; not of each attempt between.
void TargetWorker::logChange(const std::string& error)
{
    std::string line;
    {
        const std::lock_guard lock(_mutex);
        _status.lastError = error;
        if (!error.empty() && !_status.failingSince)
        {
            _status.failingSince = nowMs();
            line = "the target " + _target.name + " takes no report (" + error +
                   "); they wait: stagectl outbox list";
        }
        // Some reports may fail and others not: it is well when none waits for another attempt.
        if (error.empty() && _status.failingSince && !_queue.down() && !_queue.hasFailed())
        {
            _status.failingSince.reset();
            line = "the target " + _target.name + " takes reports again";
        }
    }
    if (!line.empty())
        _parts.log(line);
}

/// Returns whether all that is done is off the record.
bool TargetWorker::recordDone()
{
    if (_done.empty())
        return true;
    try
    {
        _parts.remove(_done);
        _done.clear();
        return true;
    }
    catch (const std::exception&)
    {
        // Full disk, or the engine is stopping: the first is told elsewhere, and at worst they are sent again.
        _doneSince = steadyMs();
        return false;
    }
}

/// 410: the target wants no more.
void TargetWorker::end()
{
    _parts.log("the target " + _target.name +
               " wants no more reports (HTTP 410): those that wait are dropped. Remove its file " +
               _target.file + ", or reload the agent to try again");
    _ended(); // first, so that no more are written
    try
    {
        _parts.removeAll(_target.name);
    }
    catch (const std::exception& error)
    {
        _parts.log("the reports for " + _target.name + " can't be removed: " + textOf(error));
    }
    const std::lock_guard lock(_mutex);
    _isEnded = true;
    _done.clear();
}

void TargetWorker::rest()
{
    std::unique_lock lock(_mutex);
    const std::int64_t now = steadyMs();
    std::int64_t until = now + lookForOldEveryMs;
    if (const auto next = _queue.nextAt())
        until = std::min(until, *next);
    if (!_done.empty())
        until = std::min(until, _doneSince + recordDoneAfterMs);
    if (until <= now)
        return;
    _changed.wait_for(lock, std::chrono::milliseconds(until - now),
                      [&]
                      {
                          const auto next = _queue.nextAt();
                          return _stopping || (_news && _queue.size() < TargetQueue::most / 2) ||
                                 (next && *next <= steadyMs());
                      });
}

TargetStatus TargetWorker::status() const
{
    const std::lock_guard lock(_mutex);
    TargetStatus status = _status;
    status.state = _isEnded ? "ended" : status.failingSince ? "failing" : "ok";
    if (const auto next = _queue.nextAt(); next && status.failingSince && !_isEnded)
        status.nextAttemptAt = nowMs() + std::max<std::int64_t>(0, *next - steadyMs());
    return status;
}

std::optional<TargetQueue::Standing> TargetWorker::standing(const std::string& lane,
                                                            std::int64_t seq) const
{
    const std::lock_guard lock(_mutex);
    auto standing = _queue.standing(lane, seq);
    if (standing)
        standing->at = nowMs() + std::max<std::int64_t>(0, standing->at - steadyMs());
    return standing;
}

} // namespace agent
