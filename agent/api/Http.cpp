#include "agent/api/Http.h"

namespace agent
{

std::optional<std::string> Request::parameter(const std::string& name) const
{
    for (const auto& [key, value] : query)
        if (key == name)
            return value;
    return std::nullopt;
}

std::string Request::header(const std::string& lowerName) const
{
    const auto entry = headers.find(lowerName);
    return entry == headers.end() ? std::string() : entry->second;
}

} // namespace agent
