// What the test reports of a run say: docs/artifacts.md.
#include "agent/api/JsonMembers.h"
#include "agent/api/Routes.h"
#include "agent/model/Utf8.h"
#include "agent/os/RegularFile.h"
#include "agent/run/Pipeline.h"

#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <sstream>

namespace agent
{

namespace
{

using namespace json;
using rapidjson::Value;

constexpr const char* resultsName = "tests.json";

/// The collector writes half of that at most.
constexpr std::size_t mostBytes = 1UL << 20;

constexpr std::size_t pageBytes = 131'072;

std::string textIn(const Value& object, const char* key)
{
    const auto member = object.FindMember(key);
    return member != object.MemberEnd() && member->value.IsString()
               ? std::string(member->value.GetString(), member->value.GetStringLength())
               : "";
}

std::optional<std::int64_t> numberIn(const Value& object, const char* key)
{
    const auto member = object.FindMember(key);
    return member != object.MemberEnd() && member->value.IsInt64()
               ? std::optional(member->value.GetInt64())
               : std::nullopt;
}

/// The members of a list that are objects.
std::vector<const Value*> objectsIn(const Value& object, const char* key)
{
    std::vector<const Value*> found;
    const auto list = object.FindMember(key);
    if (list == object.MemberEnd() || !list->value.IsArray())
        return found;
    for (const Value& element : list->value.GetArray())
        if (element.IsObject())
            found.push_back(&element);
    return found;
}

/// The names of the run's secrets.
std::vector<std::string> secretsOf(const Run& run)
{
    try
    {
        return allSecrets(Pipeline::fromJson(run.pipeline).spec());
    }
    catch (const std::runtime_error&)
    {
        return {}; // of a run that this version can't read any more
    }
}

constexpr std::array refusedTexts{"file", "why"};
constexpr std::array failureTexts{"kind", "suite", "class", "name", "file", "message", "details"};

/// Masks the secrets in what tests have printed. It is one text, masked once: no secret holds a NUL, nor does a part of it then.
void mask(rapidjson::Document& results, const std::vector<std::string>& names,
          const SecretFolder& secrets)
{
    std::vector<Value*> texts;
    const auto gather = [&](const char* list, const auto& keys)
    {
        const auto found = results.FindMember(list);
        if (found == results.MemberEnd() || !found->value.IsArray())
            return;
        for (Value& object : found->value.GetArray())
            for (const char* key : keys)
                if (object.IsObject())
                    if (const auto member = object.FindMember(key);
                        member != object.MemberEnd() && member->value.IsString())
                        texts.push_back(&member->value);
    };
    gather("refused", refusedTexts);
    gather("failures", failureTexts);
    std::string all;
    for (const Value* text : texts)
    {
        std::string part(text->GetString(), text->GetStringLength());
        std::erase(part, '\0');
        all.append(part).push_back('\0');
    }
    std::istringstream parts(masked(all, names, secrets));
    std::string part;
    for (Value* text : texts)
    {
        std::getline(parts, part, '\0');
        text->SetString(part, results.GetAllocator());
    }
}

/// What an attempt's `tests.json` says; an empty object where it is missing, or something else stands there.
rapidjson::Document resultsOf(const ApiParts& api, const Stage& stage,
                              const std::vector<std::string>& secrets)
{
    rapidjson::Document results;
    try
    {
        const auto file = api.state.attempt(stage, stage.attempt) / resultsName;
        results.Parse<rapidjson::kParseIterativeFlag>(
            validUtf8(readRegularFile(file.string(), mostBytes).value_or("")));
    }
    catch (const std::system_error&)
    {
        results.SetNull();
    }
    if (results.HasParseError() || !results.IsObject())
        results.SetObject();
    if (!secrets.empty())
        mask(results, secrets, api.stages.secrets);
    return results;
}

template <typename Keys> void putObject(Writer& out, const Value& object, const Keys& keys)
{
    for (const char* key : keys)
        put(out, key, textIn(object, key));
}

/// Counts are those on record, which the collector's sealed answer gave.
std::string stageJson(const Stage& stage, const Value& results)
{
    return object(
        [&](Writer& out)
        {
            put(out, "stageId", stage.id);
            put(out, "type", toString(stage.type));
            put(out, "name", stage.name);
            putNumber(out, "attempt", std::optional(stage.attempt));
            putNumber(out, "total", stage.testsTotal);
            putNumber(out, "failed", std::optional(stage.testsFailed.value_or(0)));
            putNumber(out, "skipped", std::optional(stage.testsSkipped.value_or(0)));
            putNumber(out, "durationMs", numberIn(results, "durationMs"));
            putNumber(out, "files", numberIn(results, "files"));
            out.Key("refused");
            out.StartArray();
            for (const Value* refused : objectsIn(results, "refused"))
            {
                out.StartObject();
                putObject(out, *refused, refusedTexts);
                out.EndObject();
            }
            out.EndArray();
            out.Key("failures");
            out.StartArray();
            for (const Value* failure : objectsIn(results, "failures"))
            {
                out.StartObject();
                putObject(out, *failure, failureTexts);
                putNumber(out, "line", std::optional(numberIn(*failure, "line").value_or(0)));
                putNumber(out, "durationMs",
                          std::optional(numberIn(*failure, "durationMs").value_or(0)));
                out.EndObject();
            }
            out.EndArray();
            const auto cut = results.FindMember("truncated");
            out.Key("truncated");
            out.Bool(cut == results.MemberEnd() || !cut->value.IsBool() || cut->value.GetBool());
        });
}

/// Makes the answer one stage after the other, and gives it in pages.
class Results
{
public:
    Results(const ApiParts& api, const Run& run, std::vector<Stage> stages)
        : _api(api), _stages(std::move(stages)), _secrets(secretsOf(run))
    {
        std::int64_t total = 0;
        std::int64_t failed = 0;
        std::int64_t skipped = 0;
        for (const Stage& stage : _stages)
        {
            total += stage.testsTotal.value_or(0);
            failed += stage.testsFailed.value_or(0);
            skipped += stage.testsSkipped.value_or(0);
        }
        _ready = "{\"total\":" + std::to_string(total);
        _ready.append(",\"failed\":").append(std::to_string(failed));
        _ready.append(",\"skipped\":").append(std::to_string(skipped)).append(",\"stages\":[");
    }

    bool next(std::string& out)
    {
        while (_ready.size() - _given < pageBytes && _next <= _stages.size())
        {
            _ready.erase(0, std::exchange(_given, 0));
            if (_next == _stages.size())
                _ready += "]}";
            else
            {
                const Stage& stage = _stages[_next];
                _ready.append(_next > 0 ? "," : "")
                    .append(stageJson(stage, resultsOf(_api, stage, _secrets)));
            }
            ++_next;
        }
        out.append(_ready, _given, pageBytes);
        _given = std::min(_ready.size(), _given + pageBytes);
        return _given < _ready.size() || _next <= _stages.size();
    }

private:
    const ApiParts& _api;
    std::vector<Stage> _stages;
    std::vector<std::string> _secrets; ///< their names
    std::string _ready;
    std::size_t _given = 0; ///< of _ready
    std::size_t _next = 0;  ///< stage; behind the last one: the end
};

} // namespace

Response runTests(const ApiParts& api, const Request&, const std::string& id)
{
    std::optional<Run> run;
    std::vector<Stage> stages;
    {
        auto reader = api.database.reader();
        run = RunStore(*reader).run(id);
        if (!run)
            throw Declined(Declined::Kind::NotFound, "run_not_found", "there is no run " + id);
        stages = RunStore(*reader).stages(id);
    }
    std::erase_if(stages, [](const Stage& stage) { return !stage.testsTotal; });
    const auto results = std::make_shared<Results>(api, *run, std::move(stages));
    Response response;
    if (!results->next(response.body))
        return response;
    response.pages = std::make_shared<Response::Pages>(Response::Pages{
        .next = [results, begun = std::move(response.body)](std::string& out) mutable
        {
            out = std::exchange(begun, {});
            return !out.empty() || results->next(out);
        }});
    response.body.clear();
    return response;
}

} // namespace agent
