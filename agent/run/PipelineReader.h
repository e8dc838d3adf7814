#pragma once

#include "agent/document/DocumentValue.h"

namespace agent
{

/// Turns a document's tree into a pipeline, key by key. Used by PipelineParser.cpp alone.
class PipelineReader
{
public:
    enum class Source
    {
        Service, ///< a file of services.d/
        Request, ///< an inline pipeline: no secrets; id, name and concurrency have no effect
        File,    ///< of a repository: variables and stages only
        Stored   ///< our own JSON: only the shape is checked
    };

    explicit PipelineReader(Source source) : _source(source) {}

    void readService(const DocumentValue& root, Service& service) const;
    void readPipeline(const DocumentValue& root, PipelineSpec& spec) const;
    void readFile(const DocumentValue& root, PipelineSpec& spec) const;
    static void readLimits(const DocumentValue& value, Limits& limits);

    [[nodiscard]] static std::optional<StageType> stageType(const DocumentValue& value);

private:
    void readHooks(const DocumentMap& map, Service& service) const;
    static void readLabels(const DocumentMap& map, Service& service);
    static void readLinks(const DocumentMap& map, Service& service);
    void readKeys(const DocumentMap& map, PipelineSpec& spec) const;
    void readEnv(const DocumentValue& value, PipelineSpec& spec) const;
    void checkLength(const DocumentValue& member, std::size_t size) const;
    void checkSize(const DocumentValue& value, const PipelineSpec& spec,
                   const StageSpec& stage) const;
    static void readIsolation(const DocumentMap& map, PipelineSpec& spec);
    void readCheckout(const DocumentMap& map, PipelineSpec& spec) const;
    void readWorkspace(const DocumentValue& value, PipelineSpec& spec) const;
    void readStages(const DocumentValue& value, PipelineSpec& spec) const;
    void readStage(const DocumentValue& value, const PipelineSpec& spec, StageSpec& stage) const;
    static void readRetry(const DocumentValue& value, RetrySpec& retry);
    static void readRetryOn(const DocumentValue& value, RetrySpec& retry);

    /// Reads text and holds it against a rule of InputRules.h.
    template <typename Rule> std::string ruled(const DocumentValue& value, Rule rule) const
    {
        auto text = value.text().value_or("");
        if (value.node().kind != DocumentNode::Kind::Null && _source != Source::Stored)
            if (const std::string wrong = rule(text); !wrong.empty())
                value.problem(wrong);
        return text;
    }

    Source _source;
};

} // namespace agent
