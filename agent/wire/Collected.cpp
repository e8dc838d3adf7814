#include "agent/wire/Collected.h"

#include "agent/wire/JsonObject.h"

#include <rapidjson/document.h>

namespace agent
{

std::string toJson(const Collected& collected)
{
    ObjectWriter json;
    if (collected.artifacts)
        write(json, *collected.artifacts);
    if (collected.tests)
        write(json, *collected.tests);
    json.text("problem", collected.problem);
    return json.finish();
}

std::optional<Collected> collectedFrom(const std::string& json)
try
{
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
    if (document.HasParseError())
        return std::nullopt;
    const ObjectReader reader(document);
    Collected collected;
    if (const auto* artifacts = reader.find("artifacts"))
        collected.artifacts = keptArtifactsFrom(ObjectReader(*artifacts));
    if (const auto* tests = reader.find("tests"))
        collected.tests = reportedTestsFrom(ObjectReader(*tests));
    collected.problem = reader.text("problem");
    return collected;
}
catch (const BadFile&)
{
    return std::nullopt;
}

void write(ObjectWriter& json, const CollectOrder& collect)
{
    json.key("collect").StartObject();
    json.text("program", collect.program);
    json.text("store", collect.store);
    json.text("name", collect.name);
    json.texts("paths", collect.paths);
    json.texts("junit", collect.junit);
    json.text("when", toString(collect.when));
    json.key("required").Bool(collect.required);
    json.number("maxBytes", collect.maxBytes);
    json.number("maxFiles", collect.maxFiles);
    json.number("timeoutMs", collect.timeoutMs);
    json.raw().EndObject();
}

CollectOrder collectOrderFrom(const ObjectReader& reader)
{
    const auto when = runsAfterFrom(reader.text("when"));
    if (!when)
        throw BadFile("has an unknown 'when'");
    return {.program = reader.text("program"),
            .store = reader.text("store"),
            .name = reader.text("name"),
            .paths = reader.texts("paths"),
            .junit = reader.texts("junit"),
            .when = *when,
            .required = reader.boolean("required"),
            .maxBytes = reader.number("maxBytes"),
            .maxFiles = reader.number("maxFiles"),
            .timeoutMs = reader.number("timeoutMs")};
}

void write(ObjectWriter& json, const KeptArtifacts& artifacts)
{
    json.key("artifacts").StartObject();
    json.number("files", artifacts.files);
    json.number("bytes", artifacts.bytes);
    json.text("manifest", artifacts.manifest);
    json.raw().EndObject();
}

KeptArtifacts keptArtifactsFrom(const ObjectReader& reader)
{
    return {.files = reader.number("files"),
            .bytes = reader.number("bytes"),
            .manifest = reader.text("manifest")};
}

void write(ObjectWriter& json, const ReportedTests& tests)
{
    json.key("tests").StartObject();
    json.number("total", tests.total);
    json.number("failed", tests.failed);
    json.number("skipped", tests.skipped);
    json.raw().EndObject();
}

ReportedTests reportedTestsFrom(const ObjectReader& reader)
{
    return {.total = reader.number("total"),
            .failed = reader.number("failed"),
            .skipped = reader.number("skipped")};
}

} // namespace agent
