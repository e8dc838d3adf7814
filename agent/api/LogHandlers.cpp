#include "agent/api/Routes.h"
#include "agent/store/LogReader.h"

#include <charconv>
#include <unistd.h>

namespace agent
{

namespace
{

std::optional<std::int64_t> number(std::string_view text)
{
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0)
        return std::nullopt;
    return value;
}

struct Range
{
    std::int64_t first = 0;
    std::int64_t last = 0;
};

/// One `bytes=` range of a text of `size` bytes. Source: RFC 9110, 14.1.2.
/// Shape: nothing for none or one that is not understood (then all is sent).
/// Errors: Refusal 416 when it lies outside.
std::optional<Range> rangeOf(const std::string& header, std::int64_t size)
{
    if (!header.starts_with("bytes=") || header.find(',') != std::string::npos)
        return std::nullopt;
    const std::string spec = header.substr(6);
    const auto dash = spec.find('-');
    if (dash == std::string::npos)
        return std::nullopt;
    const auto first = number(std::string_view(spec).substr(0, dash));
    const auto last = number(std::string_view(spec).substr(dash + 1));
    Range range;
    if (dash == 0)
    {
        if (!last)
            return std::nullopt;
        range = {std::max<std::int64_t>(0, size - *last), size - 1};
    }
    else if (!first || (dash + 1 < spec.size() && (!last || *last < *first)))
        return std::nullopt;
    else
        range = {*first, std::min(last.value_or(size - 1), size - 1)};
    if (range.first >= size)
        throw Refusal{416,
                      "range_not_satisfiable",
                      "the log has " + std::to_string(size) + " bytes",
                      "Range",
                      {{"Content-Range", "bytes */" + std::to_string(size)}}};
    return range;
}

Response lines(const std::vector<std::pair<std::string, bool>>& facts, const char* good)
{
    bool fine = true;
    std::string body;
    for (const auto& [line, ok] : facts)
    {
        fine = fine && ok;
        body += line + "\n";
    }
    return {.status = fine ? 200 : 503,
            .contentType = "text/plain; charset=utf-8",
            .body = body + (fine ? good : "not " + std::string(good)) + "\n"};
}

} // namespace

Response stageLog(const ApiParts& api, const Request& request, const std::string& id)
{
    std::optional<Stage> stage;
    {
        auto reader = api.database.reader();
        stage = RunStore(*reader).stage(id);
    }
    if (!stage)
        throw Declined(Declined::Kind::NotFound, "stage_not_found", "there is no stage " + id);
    std::int64_t attempt = stage->attempt;
    if (const auto wanted = request.parameter("attempt"))
    {
        const auto value = number(*wanted);
        if (!value || *value < 1 || *value > stage->attempt)
            throw Declined(Declined::Kind::Invalid, "invalid_value",
                           "attempt must be from 1 to " + std::to_string(stage->attempt),
                           "attempt");
        attempt = *value;
    }
    Response response{.contentType = "text/plain; charset=utf-8"};
    response.headers["Accept-Ranges"] = "bytes";
    response.headers["X-Content-Type-Options"] = "nosniff";
    const auto log = LogReader::open(api.state.attempt(*stage, static_cast<int>(attempt)));
    if (!log)
        return response; // not started, or an external stage: nothing was said
    const auto size = static_cast<std::int64_t>(log->size());
    const auto range = rangeOf(request.header("range"), size);
    const std::shared_ptr<int> file(new int(::dup(log->descriptor())),
                                    [](int* fd)
                                    {
                                        ::close(*fd);
                                        delete fd;
                                    });
    response.file = {file, 0, size};
    if (range)
    {
        response.status = 206;
        response.file = {file, range->first, range->last - range->first + 1};
        response.headers["Content-Range"] = "bytes " + std::to_string(range->first) + "-" +
                                            std::to_string(range->last) + "/" +
                                            std::to_string(size);
    }
    return response;
}

Response health(const ApiParts& api, const Request&, const std::string&)
{
    const auto facts = api.engine.facts();
    return lines({{facts.alive ? "store: ok" : "store: the last transaction failed", facts.alive}},
                 "healthy");
}

Response ready(const ApiParts& api, const Request&, const std::string&)
{
    const auto facts = api.engine.facts();
    const std::string free = std::to_string(facts.freeBytes >> 20) + " MiB free";
    return lines({{facts.alive ? "store: ok" : "store: the last transaction failed", facts.alive},
                  {facts.diskLow ? "disk: below disk.min_free, " + free : "disk: ok, " + free,
                   !facts.diskLow},
                  {std::string(facts.draining ? "executor: draining, " : "executor: ok, ") +
                       std::to_string(facts.running) + " of " + std::to_string(facts.slots) +
                       " slots in use, " + std::to_string(facts.queued) + " queued",
                   !facts.draining}},
                 "ready");
}

} // namespace agent
