#include "agent/model/Run.h"

namespace agent
{

std::string_view toString(TriggerType type)
{
    switch (type)
    {
    case TriggerType::Main:
        return "MAIN";
    case TriggerType::PrOpen:
        return "PR_OPEN";
    case TriggerType::PrSync:
        return "PR_SYNC";
    case TriggerType::Manual:
        return "MANUAL";
    }
    return "";
}

std::optional<TriggerType> triggerTypeFrom(std::string_view text)
{
    for (const auto type :
         {TriggerType::Main, TriggerType::PrOpen, TriggerType::PrSync, TriggerType::Manual})
        if (toString(type) == text)
            return type;
    return std::nullopt;
}

} // namespace agent
