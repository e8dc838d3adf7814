#include "agent/wire/NeededFiles.h"

#include "agent/wire/JsonObject.h"

namespace agent
{

namespace
{

constexpr int version = 1;

/// Calls `read` with the object; nothing where that is none, or is not as it should be.
template <typename Value, typename Read>
std::optional<Value> parsed(const std::string& json, Read read)
try
{
    rapidjson::Document document;
    constexpr auto flags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
    if (document.Parse<flags>(json.data(), json.size()).HasParseError())
        return std::nullopt;
    const ObjectReader object(document);
    if (object.number("version") != version)
        return std::nullopt;
    return read(object);
}
catch (const BadFile&)
{
    return std::nullopt;
}

} // namespace

std::string toJson(const NeedsPlan& plan)
{
    ObjectWriter out;
    out.number("version", version);
    out.text("workspace", plan.workspace);
    out.text("report", plan.report);
    auto& list = out.key("sets");
    list.StartArray();
    for (const NeededSet& set : plan.sets)
    {
        list.StartObject();
        out.text("what", set.what);
        out.text("from", set.from);
        out.text("to", set.to);
        out.text("set", set.set);
        out.text("list", set.list);
        out.text("sha256", set.sha256);
        list.EndObject();
    }
    list.EndArray();
    return out.finish();
}

std::optional<NeedsPlan> needsPlanFrom(const std::string& json)
{
    return parsed<NeedsPlan>(json,
                             [](const ObjectReader& object)
                             {
                                 NeedsPlan plan{.workspace = object.text("workspace"),
                                                .report = object.text("report")};
                                 const rapidjson::Value& sets = object.get("sets");
                                 if (!sets.IsArray())
                                     throw BadFile("has 'sets' that is no list");
                                 for (const rapidjson::Value& value : sets.GetArray())
                                 {
                                     const ObjectReader set(value);
                                     plan.sets.push_back({.what = set.text("what"),
                                                          .from = set.text("from"),
                                                          .to = set.text("to"),
                                                          .set = set.text("set"),
                                                          .list = set.text("list"),
                                                          .sha256 = set.text("sha256")});
                                 }
                                 return plan;
                             });
}

std::string toJson(const NeedsFailure& failure)
{
    ObjectWriter out;
    out.number("version", version);
    out.text("message", failure.message);
    out.key("disk_full").Bool(failure.diskFull);
    return out.finish();
}

std::optional<NeedsFailure> needsFailureFrom(const std::string& json)
{
    return parsed<NeedsFailure>(json,
                                [](const ObjectReader& object)
                                {
                                    return NeedsFailure{.message = object.text("message"),
                                                        .diskFull = object.boolean("disk_full")};
                                });
}

} // namespace agent
