#include "agent/model/StageOutput.h"

namespace agent
{

std::string_view toString(StageOutput output)
{
    return output == StageOutput::Merged ? "merged" : "separate";
}

std::optional<StageOutput> stageOutputFrom(std::string_view text)
{
    for (const StageOutput one : {StageOutput::Merged, StageOutput::Separate})
        if (text == toString(one))
            return one;
    return std::nullopt;
}

} // namespace agent
