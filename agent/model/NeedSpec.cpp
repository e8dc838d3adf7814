#include "agent/model/NeedSpec.h"

#include "agent/model/CacheSpec.h"

namespace agent
{

std::string needPathProblem(std::string_view text)
{
    if (text.size() > needBounds::path)
        return "must not be longer than " + std::to_string(needBounds::path) + " bytes";
    if (text.starts_with('/') || text.starts_with('~'))
        return "must be a folder of the workspace, such as vendor/lib";
    return cachePathProblem(text);
}

bool overlap(std::string_view one, std::string_view other)
{
    const std::string_view shorter = one.size() < other.size() ? one : other;
    const std::string_view longer = one.size() < other.size() ? other : one;
    return longer.starts_with(shorter) &&
           (longer.size() == shorter.size() || longer[shorter.size()] == '/');
}

} // namespace agent
