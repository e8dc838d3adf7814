#include "agent/run/CacheKeys.h"

#include "agent/run/PipelineKeys.h"

#include <algorithm>
#include <string>

namespace agent
{

namespace
{

using Rule = std::string (*)(std::string_view);

/// A list of 1 to `most` texts that are each right by `rule`.
std::vector<std::string> textsOf(const DocumentValue& list, std::size_t most, Rule rule,
                                 bool stored)
{
    std::vector<std::string> texts;
    const auto items = list.list();
    if (!stored && list.node().kind == DocumentNode::Kind::List &&
        (items.empty() || items.size() > most))
        list.problem("must hold 1 to " + std::to_string(most) + ", holds " +
                     std::to_string(items.size()));
    for (const DocumentValue& item : items)
    {
        const auto text = item.text();
        if (!text)
            continue;
        if (const std::string wrong = rule(*text); !wrong.empty() && !stored)
            item.problem(wrong);
        else if (std::find(texts.begin(), texts.end(), *text) != texts.end() && !stored)
            item.problem("is there twice");
        texts.push_back(*text);
    }
    return texts;
}

void readCache(const DocumentValue& value, CacheSpec& cache, bool stored)
{
    const DocumentMap map(value, namesOf(cacheKeys));
    if (const auto key = map.require("key"))
    {
        cache.key = key->text().value_or("");
        if (const std::string wrong = cacheKeyProblem(cache.key); !wrong.empty() && !stored)
            key->problem(wrong);
    }
    if (const auto restore = map.find("restore"))
        cache.restore = textsOf(*restore, cacheBounds::restore, cacheKeyProblem, stored);
    const auto paths = map.require("paths");
    if (!paths)
        return;
    cache.paths = textsOf(*paths, cacheBounds::paths, cachePathProblem, stored);
    std::size_t bytes = 0;
    for (const std::string& path : cache.paths)
        bytes += path.size();
    if (bytes > cacheBounds::pathBytes && !stored)
        paths->problem("must not be longer than " + std::to_string(cacheBounds::pathBytes) +
                       " bytes together");
}

} // namespace

void readCaches(const DocumentValue& value, std::vector<CacheSpec>& caches, bool stored)
{
    const auto items = value.list();
    if (!stored && value.node().kind == DocumentNode::Kind::List &&
        (items.empty() || items.size() > cacheBounds::caches))
        value.problem("must hold 1 to " + std::to_string(cacheBounds::caches) + " caches, holds " +
                      std::to_string(items.size()));
    for (const DocumentValue& item : items)
        readCache(item, caches.emplace_back(), stored);
}

} // namespace agent
