#include "agent/model/PipelineSpec.h"

namespace agent
{

std::string Problem::describe() const
{
    std::string text = file;
    if (line > 0)
        text += (text.empty() ? "line " : ":") + std::to_string(line);
    for (const auto* part : {&key, &message})
        if (!part->empty())
            text += (text.empty() ? "" : ": ") + *part;
    return text;
}

} // namespace agent
