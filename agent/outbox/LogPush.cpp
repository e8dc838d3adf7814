#include "agent/outbox/LogPush.h"

#include "agent/model/Utf8.h"
#include "agent/outbox/ReportBody.h"
#include "agent/outbox/Seamless.h"
#include "agent/store/LogReader.h"
#include "agent/store/RunStore.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace agent
{

namespace
{

constexpr std::size_t mostPieceBytes = 65'536;
constexpr std::int64_t shortestPauseMs = 250;
constexpr std::int64_t longestPauseMs = 5'000;
constexpr std::int64_t pausePerPieceMs = 10;

std::string padded(std::uint64_t number, int digits)
{
    std::string text = std::to_string(number);
    return text.size() >= static_cast<std::size_t>(digits)
               ? text
               : std::string(static_cast<std::size_t>(digits) - text.size(), '0') + text;
}

/// At `end`, or before a character that goes on behind it.
std::size_t characterEnd(const std::string& text, std::size_t end)
{
    for (std::size_t back = 1; back < 4 && back < end; ++back)
    {
        const auto byte = static_cast<unsigned char>(text[end - back]);
        if ((byte & 0xC0U) == 0x80U)
            continue;
        const std::size_t length = byte >= 0xF0U ? 4 : byte >= 0xE0U ? 3 : byte >= 0xC0U ? 2 : 1;
        return length > back ? end - back : end;
    }
    return end;
}

/// The end of the last line within the first `most` bytes; else `most` itself where that may be.
std::size_t pieceEnd(const std::string& text, std::size_t most, bool withinLine)
{
    const std::size_t newline = most == 0 ? text.npos : text.rfind('\n', most - 1);
    if (newline != text.npos)
        return newline + 1;
    return withinLine ? characterEnd(text, most) : 0;
}

std::int64_t numberAt(const ReportBody& body, const char* key)
{
    const rapidjson::Value& found = body.at({"pushed", key});
    return found.IsInt64() ? found.GetInt64() : 0;
}

std::string readAll(LogReader& log, std::uint64_t from, std::uint64_t to)
{
    std::string text(to - from, '\0');
    text.resize(log.read(from, text.data(), text.size()));
    return text;
}

} // namespace

LogPush::LogPush(const Report& report, std::uint64_t mostBytes)
    : _report(report.body), _most(mostBytes)
{
    const ReportBody body(report);
    if (!body.at({}).IsObject())
        throw std::runtime_error("the report " + report.id + " on record is damaged");
    _stageId = body.text({"stage", "id"});
    _logUrl = body.text({"logUrl"});
    const rapidjson::Value& attempt = body.at({"stage", "attempt"});
    _attempt = attempt.IsInt() ? attempt.GetInt() : 1;
    _from = static_cast<std::uint64_t>(numberAt(body, "from"));
    _to = static_cast<std::uint64_t>(numberAt(body, "to"));
    _pieces = numberAt(body, "pieces");
    _at = numberAt(body, "at");
    _score = numberAt(body, "score");
}

LogPush::Next LogPush::plan(RecordSession& reader, const FolderOf& folderOf)
{
    if (!_message.empty())
        return Next::Piece;
    // First the stage, then its log: what has ended writes no more.
    const auto stage = RunStore(reader).stage(_stageId);
    if (!stage)
        return Next::End;
    const bool over = stage->attempt != _attempt || stage->status != Status::InProgress;
    auto log = LogReader::open(folderOf(*stage, _attempt),
                               over ? LogReader::Extent::All : LogReader::Extent::Indexed);
    const std::uint64_t size = log ? log->size() : 0;
    if (planned())
    {
        if (size < _to)
            return Next::End; // it was removed
        _message = messageOf(readAll(*log, _from, _to));
        return Next::Piece;
    }
    if (size <= _from)
        return over ? Next::End : later();
    if (_most > 0 && _from >= _most)
    {
        // One more message stands for the rest.
        _to = _from + 1;
        _score = std::max(_score, nowMs());
        _at = _score;
        _message = messageOf("");
        return Next::Piece;
    }
    const std::uint64_t room = _most > 0 ? _most - _from : mostPieceBytes;
    const std::string text =
        readAll(*log, _from, _from + std::min<std::uint64_t>({size - _from, mostPieceBytes, room}));
    std::size_t end =
        pieceEnd(text, text.size(), over || text.size() == mostPieceBytes || text.size() == room);
    if (end == 0)
        return later();
    _at = log->chunkOf(_from).timeUs / 1000;
    _score = std::max(_score, _at);
    for (;; end = pieceEnd(text, end / 2, true))
    {
        _to = _from + end;
        _message = messageOf(text.substr(0, end));
        if (_message.size() <= mostMessageBytes || end < 2)
            return Next::Piece;
    }
}

LogPush::Next LogPush::later()
{
    constexpr int mostDoublings = 5; // from 250 ms to more than the longest pause
    _quiet = std::min(_quiet + 1, mostDoublings);
    return Next::Later;
}

std::string LogPush::messageOf(const std::string& text) const
{
    std::string shown = validUtf8(text);
    if (shown.ends_with('\n'))
        shown.pop_back();
    if (_most > 0 && _from >= _most)
        shown = "[only " + std::to_string(_most) +
                " bytes of a log are sent here: all of it is at " + _logUrl + "]";
    rapidjson::StringBuffer buffer;
    rapidjson::Writer out(buffer);
    const auto put = [&](const char* key, const std::string& value)
    {
        out.Key(key);
        out.String(value.c_str(), static_cast<rapidjson::SizeType>(value.size()));
    };
    out.StartObject();
    put("id",
        _stageId + "-" + padded(static_cast<std::uint64_t>(_attempt), 4) + "-" + padded(_from, 13));
    put("message", shown);
    put("timestamp", formatTime(_at));
    out.Key("score");
    out.Int64(_score);
    put("type", "LOG");
    put("stageId", _stageId);
    out.EndObject();
    return buffer.GetString();
}

TargetRequest LogPush::request(const TargetSpec& target) const
{
    return seamlessLogRequest(target, _message);
}

void LogPush::confirmed()
{
    ++_pieces;
    _quiet = 0;
    _confirmedAt = nowMs();
    _from = _most > 0 && _from >= _most ? UINT64_MAX / 2 : _to; // the rest has been told
    _to = _from;
    _message.clear();
}

std::int64_t LogPush::pauseMs() const
{
    const std::int64_t pause = std::max(_pieces * pausePerPieceMs, shortestPauseMs) << _quiet;
    return std::min(pause, longestPauseMs);
}

std::string LogPush::body() const
{
    rapidjson::Document event;
    event.Parse(_report.data(), _report.size());
    auto& memory = event.GetAllocator();
    rapidjson::Value pushed(rapidjson::kObjectType);
    for (const auto& [key, value] : std::initializer_list<std::pair<const char*, std::int64_t>>{
             {"from", static_cast<std::int64_t>(_from)},
             {"to", static_cast<std::int64_t>(_to)},
             {"pieces", _pieces},
             {"at", _at},
             {"score", _score}})
        pushed.AddMember(rapidjson::StringRef(key), value, memory);
    auto& data = event["data"];
    data.RemoveMember("pushed");
    data.AddMember("pushed", pushed, memory);
    rapidjson::StringBuffer buffer;
    rapidjson::Writer out(buffer);
    event.Accept(out);
    return buffer.GetString();
}

} // namespace agent
