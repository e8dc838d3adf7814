#pragma once

#include "agent/model/PipelineSpec.h"

#include <memory>
#include <string>

namespace agent
{

/// What a run executes, parsed, and the JSON that the record keeps of it: made once, by the submission or
/// from the record, and then shared. Copies are cheap.
/// Threads: any; it never changes.
class Pipeline
{
public:
    /// Of no stages.
    Pipeline() : Pipeline(PipelineSpec{}) {}

    /// Writes the JSON. `spec` was checked.
    /// Errors: std::runtime_error when it would be longer than fromJson() reads.
    explicit Pipeline(PipelineSpec spec);

    /// Reads what a run's row holds. Only the shape is checked, for the rules may have become stricter
    /// since it was stored.
    /// Errors: std::runtime_error when it is no such JSON.
    static Pipeline fromJson(std::string json);

    [[nodiscard]] const PipelineSpec& spec() const { return _content->spec; }
    [[nodiscard]] const std::string& json() const { return _content->json; }

private:
    struct Content
    {
        PipelineSpec spec;
        std::string json;
    };

    Pipeline(PipelineSpec spec, std::string json);

    std::shared_ptr<const Content> _content;
};

} // namespace agent
