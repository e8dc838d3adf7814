// The lines of a stage's log as JSON, and the search in them.
#include "agent/api/Json.h"
#include "agent/api/LogPlace.h"
#include "agent/api/Routes.h"
#include "agent/model/Id.h"
#include "agent/store/LineCursor.h"
#include "agent/store/LogSearch.h"

#include <Poco/URI.h>

#include <chrono>
#include <optional>
#include <semaphore>
#include <utility>

namespace agent
{

namespace
{

using Clock = std::chrono::steady_clock;

/// An answer up to this size is sent with its length.
constexpr std::size_t smallBytes = 262'144;

/// A search answers after this time with what it has found, and with the place to go on at.
constexpr std::chrono::milliseconds searchTime{1000};

/// A search keeps a core busy: more at a time would hold up each other and the stages.
constexpr int mostSearches = 4;

Declined invalid(const std::string& field, const std::string& message)
{
    return {Declined::Kind::Invalid, "invalid_value", message, field};
}

/// Room for one search; given back at its end.
class SearchRoom
{
public:
    SearchRoom()
    {
        if (!rooms.try_acquire())
            throw Refusal{.status = 503,
                          .code = "too_many_searches",
                          .message = "too many searches at once",
                          .field = "",
                          .headers = {{"Retry-After", "1"}}};
    }
    ~SearchRoom() { rooms.release(); }
    SearchRoom(const SearchRoom&) = delete;
    SearchRoom& operator=(const SearchRoom&) = delete;

private:
    static inline std::counting_semaphore<mostSearches> rooms{mostSearches};
};

/// Lines of a stage as a JSON array, piece by piece: a page may be larger than what we would hold.
class LinePage
{
public:
    LinePage(const StateFolder& state, Stage stage, LogPlace place, bool onlyThatAttempt,
             const LogSearch& search, std::size_t limit)
        : _state(state),
          _stage(std::move(stage)),
          _place(place),
          _onlyThatAttempt(onlyThatAttempt),
          _search(search),
          _left(limit)
    {
        open();
    }
    LinePage(const LinePage&) = delete;
    LinePage& operator=(const LinePage&) = delete;

    /// How many lines the attempt has in which the page begins.
    std::uint64_t lineCount() { return _log ? _log->lineCount() : 0; }

    /// Appends what follows, until `out` has `enough` bytes or, checked after some hundred lines, `stop`
    /// says so. Returns whether there may be more.
    template <typename Stop> bool next(std::string& out, std::size_t enough, Stop stop)
    {
        constexpr int unasked = 256;
        int lines = 0;
        while (_left > 0 && out.size() < enough)
        {
            if (++lines % unasked == 0 && stop())
                break;
            if (!_cursor || !_cursor->next(_line) ||
                (!_line.whole && !attemptOver(_stage, _place.attempt)))
            {
                if (nextAttempt())
                    continue;
                _left = 0;
                _ended = true;
                break;
            }
            _place.line = _line.number;
            if (!_search.finds(_line.text))
                continue;
            _cursor->stamp(_line);
            out += std::exchange(_first, false) ? "" : ",";
            out += logLineJson(_line, _stage.id, _place.attempt);
            --_left;
        }
        if (_cursor)
            _cursor->rest();
        return _left > 0;
    }

    /// After next(): the line looked at last, unless it was the last one of all.
    [[nodiscard]] std::optional<LogPlace> goOn() const
    {
        return _ended ? std::nullopt : std::optional(_place);
    }

private:
    void open()
    {
        _cursor.reset();
        _log = LogReader::open(_state.attempt(_stage, _place.attempt),
                               extentOf(_stage, _place.attempt));
        if (_log)
            _cursor.emplace(*_log, _place.line);
    }

    /// Who asks on with the last line's id comes through all attempts.
    bool nextAttempt()
    {
        if (_onlyThatAttempt || _place.attempt >= _stage.attempt)
            return false;
        _place = {.attempt = _place.attempt + 1};
        open();
        return true;
    }

    const StateFolder& _state;
    Stage _stage;
    LogPlace _place;
    bool _onlyThatAttempt;
    LogSearch _search;
    std::size_t _left; ///< lines that may still be given
    std::optional<LogReader> _log;
    std::optional<LineCursor> _cursor; ///< in _log
    LogLine _line;
    bool _first = true;
    bool _ended = false;
};

/// One page of a search, found within a second.
Response found(const Request& request, LinePage& page, const std::string& nextTarget)
{
    const SearchRoom room;
    const auto until = Clock::now() + searchTime;
    Response response;
    response.body = "[";
    page.next(response.body, smallBytes,
              [&] { return request.gone.stop_requested() || Clock::now() >= until; });
    response.body += "]";
    if (const auto place = page.goOn())
        response.headers["Link"] = "<" + nextTarget + "&after=" + std::to_string(place->attempt) +
                                   "." + std::to_string(place->line) + ">; rel=\"next\"";
    return response;
}

Response pageOf(const std::shared_ptr<LinePage>& page)
{
    const auto never = [] { return false; };
    Response response;
    std::string begun = "[";
    if (!page->next(begun, smallBytes, never))
    {
        response.body = begun + "]";
        return response;
    }
    response.pages = std::make_shared<Response::Pages>(
        Response::Pages{.next = [page, begun = std::move(begun), never](std::string& out) mutable
                        {
                            // A line comes to 390 KiB of JSON at most; ordinary ones stay within a page of 64 KiB.
                            constexpr std::size_t pageBytes = 65'536;
                            out = std::exchange(begun, {});
                            if (!out.empty() || page->next(out, pageBytes, never))
                                return true;
                            out += "]";
                            return false;
                        }});
    return response;
}

} // namespace

Response listLogs(const ApiParts& api, const Request& request, const std::string&)
{
    const auto id = parseId(request.parameter("stageId").value_or(""));
    if (!id)
        throw invalid("stageId", "stageId must be a UUID");
    if (request.caller.narrowed())
        needVisibleStage(api, request, *id);
    const Stage stage = needStage(api, *id);
    const auto wanted = attemptOf(request, stage);
    const auto limit = wholeNumber(request.parameter("limit").value_or("1000"));
    if (!limit || *limit < 1 || *limit > 10'000)
        throw invalid("limit", "limit must be a whole number from 1 to 10000");
    LogPlace place{.attempt = wanted.value_or(1)};
    const auto after = request.parameter("after");
    if (after)
    {
        const auto given = logPlaceFrom(*after);
        if (!given || given->attempt > stage.attempt || (wanted && given->attempt != *wanted))
            throw invalid("after", "after must be the id of a line of this log");
        place = *given;
    }

    const std::string text = request.parameter("search").value_or("");
    const auto page = std::make_shared<LinePage>(api.state, stage, place, wanted.has_value(),
                                                 LogSearch(text), static_cast<std::size_t>(*limit));
    const std::uint64_t lineCount = page->lineCount();
    if (after && place.line > lineCount)
        throw invalid("after", "after must be the id of a line of this log");
    Response response;
    if (text.empty())
        response = pageOf(page);
    else
    {
        std::string encoded;
        Poco::URI::encode(text, "!*'();:@&=+$,/?#[]%", encoded);
        response = found(request, *page,
                         "/api/logs?stageId=" + *id + "&search=" + encoded +
                             "&limit=" + std::to_string(*limit) +
                             (wanted ? "&attempt=" + std::to_string(*wanted) : ""));
    }
    response.headers["Line-Count"] = std::to_string(lineCount);
    return response;
}

} // namespace agent
