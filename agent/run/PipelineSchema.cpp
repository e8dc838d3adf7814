#include "agent/run/PipelineSchema.h"

#include "agent/model/CacheSpec.h"
#include "agent/model/NeedSpec.h"
#include "agent/run/PipelineKeys.h"
#include "agent/run/PipelineValues.h"
#include "agent/run/RefusedVariables.h"

#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <initializer_list>
#include <limits>
#include <string_view>

namespace agent
{

namespace
{

constexpr std::size_t longestName = 256; // of a variable: a key of a document may be so long

/// Writes the schema from top to bottom. A scalar may be given as any, as YAML has `1` for `"1"`.
class SchemaWriter
{
public:
    std::string write()
    {
        _out.SetIndent(' ', 2);
        _out.StartObject();
        text("$schema", "http://json-schema.org/draft-07/schema#");
        text("title", "Pipeline of a repository, for stage-agent");
        members(fileKeys, true);
        _out.Key("definitions");
        _out.StartObject();
        map("stage", stageKeys);
        map("retry", retryKeys);
        map("limits", limitKeys);
        map("when", whenKeys);
        map("approval", approvalKeys);
        map("artifacts", artifactKeys);
        map("reports", reportKeys);
        map("cache", cacheKeys);
        map("need", needKeys);
        _out.EndObject();
        _out.EndObject();
        return std::string(_buffer.GetString(), _buffer.GetSize()) + '\n';
    }

private:
    void text(const char* key, std::string_view value)
    {
        _out.Key(key);
        _out.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
    }

    void number(const char* key, std::int64_t value)
    {
        _out.Key(key);
        _out.Int64(value);
    }

    void words(const char* key, const std::vector<std::string_view>& all)
    {
        _out.Key(key);
        _out.StartArray();
        for (const std::string_view word : all)
            _out.String(word.data(), static_cast<rapidjson::SizeType>(word.size()));
        _out.EndArray();
    }

    void map(const char* name, const PipelineKeys& keys)
    {
        _out.Key(name);
        _out.StartObject();
        members(keys, false);
        _out.EndObject();
    }

    void members(const PipelineKeys& keys, bool prefixed)
    {
        text("type", "object");
        std::vector<std::string_view> required;
        _out.Key("properties");
        _out.StartObject();
        for (const PipelineKey& key : keys)
        {
            if (key.required)
                required.push_back(key.name);
            _out.Key(key.name.data(), static_cast<rapidjson::SizeType>(key.name.size()));
            _out.StartObject();
            text("description", key.says);
            shape(key.shape);
            _out.EndObject();
        }
        _out.EndObject();
        if (prefixed)
        {
            _out.Key("patternProperties");
            _out.StartObject();
            _out.Key("^x-");
            _out.Bool(true);
            _out.EndObject();
        }
        _out.Key("additionalProperties");
        _out.Bool(false);
        if (!required.empty())
            words("required", required);
    }

    void shape(Shape shape)
    {
        switch (shape)
        {
        case Shape::Text:
            return scalar();
        case Shape::StageName:
            scalar();
            number("minLength", 1);
            number("maxLength", pipelineBounds::stageName);
            return text("pattern", R"(^[^\n\r\t]*$)");
        case Shape::Plugin:
            scalar();
            return number("minLength", 1);
        case Shape::Type:
            return words("enum", stageTypeNames());
        case Shape::Duration:
            return span(0, R"(^([0-9]+|([0-9]+(ms|[dhms]) *)+)$)");
        case Shape::Span:
            return span(1, R"(^(?=.*[1-9])([0-9]+|([0-9]+(ms|[dhms]) *)+)$)");
        case Shape::Bytes:
            return span(1, R"(^(?=.*[1-9])[0-9]+(B|[Kk]|KiB|M|MiB|G|GiB|T|TiB)?$)");
        case Shape::Cpu:
            words("type", {"string", "number"});
            text("pattern", R"(^(?=.*[1-9])[0-9]*\.?[0-9]*%?$)");
            _out.Key("exclusiveMinimum");
            _out.Int(0);
            return number("maximum", pipelineBounds::cpuPercent / 100);
        case Shape::Count:
            return whole(1, std::numeric_limits<std::int32_t>::max());
        case Shape::Attempts:
            return whole(1, pipelineBounds::attempts);
        case Shape::Boolean:
            return text("type", "boolean");
        case Shape::Output:
            return words("enum", {"merged", "separate"});
        case Shape::Approval:
            return approval();
        case Shape::When:
            text("type", "object");
            number("minProperties", 1);
            return reference("#/definitions/when");
        case Shape::Names:
            list();
            scalar();
            number("minLength", 1);
            number("maxLength", pipelineBounds::pattern);
            _out.EndObject();
            return;
        case Shape::Triggers:
            list();
            words("enum", triggerTypeNames);
            _out.EndObject();
            return;
        case Shape::RunsAfter:
            return words("enum", runsAfterNames);
        case Shape::RetryOn:
            return retryOn();
        case Shape::Patterns:
            return patterns(0);
        case Shape::FilePatterns:
            return patterns(1);
        case Shape::Artifacts:
            return artifacts();
        case Shape::Reports:
            return reference("#/definitions/reports");
        case Shape::Name:
            scalar();
            return text("pattern", R"(^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$)");
        case Shape::SecretNames:
            text("type", "array");
            _out.Key("uniqueItems");
            _out.Bool(true);
            _out.Key("items");
            _out.StartObject();
            text("type", "string");
            text("pattern", "^[A-Za-z_][A-Za-z0-9_]*$");
            _out.EndObject();
            return;
        case Shape::CacheKey:
            return cacheKey();
        case Shape::CacheKeys:
            list();
            cacheKey();
            _out.EndObject();
            return number("maxItems", cacheBounds::restore);
        case Shape::CachePaths:
            list();
            scalar();
            text("pattern", R"(^(~/)?(?!~)(?!(.*/)?\.{0,2}(/|$))[^]+$)");
            _out.EndObject();
            return number("maxItems", cacheBounds::paths);
        case Shape::Caches:
            list();
            reference("#/definitions/cache");
            _out.EndObject();
            return number("maxItems", cacheBounds::caches);
        case Shape::Needs:
            list();
            reference("#/definitions/need");
            _out.EndObject();
            return number("maxItems", needBounds::needs);
        case Shape::Service:
            scalar();
            return text("pattern", R"(^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$)");
        case Shape::Branch:
            scalar();
            return number("minLength", 1);
        case Shape::Folder:
            scalar();
            number("maxLength", needBounds::path);
            return text("pattern", R"(^(?![/~])(?!(.*/)?\.{0,2}(/|$))[^]+$)");
        case Shape::Environment:
            return environment();
        case Shape::Settings:
            text("type", "object");
            _out.Key("additionalProperties");
            _out.StartObject();
            words("type", {"string", "number", "boolean", "array", "object"});
            _out.EndObject();
            return;
        case Shape::Retry:
            return reference("#/definitions/retry");
        case Shape::Limits:
            return reference("#/definitions/limits");
        case Shape::Stages:
            text("type", "array");
            number("minItems", 1);
            number("maxItems", pipelineBounds::stages - 1); // one is the checkout
            _out.Key("items");
            _out.StartObject();
            reference("#/definitions/stage");
            _out.EndObject();
            return;
        }
    }

    void cacheKey()
    {
        scalar();
        text(
            "pattern",
            R"(^([A-Za-z0-9]|\$\{(arch|sha256:[^}]+)\})([A-Za-z0-9._+=@-]|\$\{(arch|sha256:[^}]+)\})*$)");
        number("maxLength", cacheBounds::keyText);
    }

    void scalar() { words("type", {"string", "number", "boolean"}); }

    void span(std::int64_t least, std::string_view pattern)
    {
        words("type", {"string", "integer"});
        text("pattern", pattern);
        number("minimum", least);
    }

    void whole(std::int64_t least, std::int64_t most)
    {
        text("type", "integer");
        number("minimum", least);
        number("maximum", most);
    }

    /// In draft 7 nothing beside a reference counts.
    void reference(std::string_view to)
    {
        _out.Key("allOf");
        _out.StartArray();
        _out.StartObject();
        text("$ref", to);
        _out.EndObject();
        _out.EndArray();
    }

    /// A list of at least one item; the caller writes its shape, and ends it.
    void list()
    {
        text("type", "array");
        number("minItems", 1);
        _out.Key("items");
        _out.StartObject();
    }

    void patterns(std::int64_t least)
    {
        text("type", "array");
        if (least > 0)
            number("minItems", least);
        number("maxItems", pipelineBounds::filePatterns);
        _out.Key("items");
        _out.StartObject();
        scalar();
        number("maxLength", pipelineBounds::filePattern);
        text("pattern", R"(^(?!/)(?!(.*/)?\.\.(/|$))[^]+$)");
        _out.EndObject();
    }

    void artifacts()
    {
        _out.Key("anyOf");
        _out.StartArray();
        _out.StartObject();
        patterns(0);
        _out.EndObject();
        _out.StartObject();
        text("$ref", "#/definitions/artifacts");
        _out.EndObject();
        _out.EndArray();
    }

    void approval()
    {
        _out.Key("anyOf");
        _out.StartArray();
        _out.StartObject();
        words("enum", {"required"});
        _out.EndObject();
        _out.StartObject();
        text("$ref", "#/definitions/approval");
        _out.EndObject();
        _out.EndArray();
    }

    void retryOn()
    {
        text("type", "array");
        number("minItems", 1);
        _out.Key("items");
        _out.StartObject();
        _out.Key("anyOf");
        _out.StartArray();
        _out.StartObject();
        whole(1, pipelineBounds::exitCode);
        _out.EndObject();
        _out.StartObject();
        std::vector<std::string_view> causes;
        causes.reserve(std::size(retryableCauses));
        for (const Cause cause : retryableCauses)
            causes.push_back(toString(cause));
        words("enum", causes);
        _out.EndObject();
        _out.EndArray();
        _out.EndObject();
    }

    /// Names that a request may not set either.
    void environment()
    {
        std::string refused;
        for (const RefusedVariables& row : refusedVariables())
            for (const std::string_view name : row.names)
            {
                refused += refused.empty() ? "" : "|";
                refused += name.ends_with('*') ? std::string(name.substr(0, name.size() - 1)) + ".*"
                                               : std::string(name);
            }
        text("type", "object");
        _out.Key("propertyNames");
        _out.StartObject();
        text("pattern", "^(?!(" + refused + ")$)[A-Za-z_][A-Za-z0-9_]*$");
        number("maxLength", longestName);
        _out.EndObject();
        _out.Key("additionalProperties");
        _out.StartObject();
        scalar();
        _out.EndObject();
    }

    rapidjson::StringBuffer _buffer;
    rapidjson::PrettyWriter<rapidjson::StringBuffer> _out{_buffer};
};

} // namespace

std::string pipelineSchema()
{
    return SchemaWriter().write();
}

} // namespace agent
