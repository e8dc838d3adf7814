#include "agent/run/NeedChecks.h"

#include "agent/run/PipelineParser.h"
#include "agent/run/ServiceCatalog.h"

#include <algorithm>

namespace agent
{

namespace
{

/// Returns what is doubtful about it; empty: nothing. What a file of a repository keeps is not known here.
std::string doubtAbout(const NeedSpec& need, const ServiceCatalog& services)
{
    const auto service = services.find(need.service);
    if (!service)
        return "there is no service '" + need.service + "' (yet): until then the stage fails";
    if (service->pipeline.file)
        return "";
    std::string known;
    for (const StageSpec& stage : service->pipeline.stages)
    {
        if (stage.artifacts.paths.empty())
            continue;
        if (artifactNameOf(stage) == need.artifacts)
            return "";
        known += (known.empty() ? "" : ", ") + artifactNameOf(stage);
    }
    return "the service '" + need.service + "' keeps no artifacts called '" + need.artifacts +
           "'; it keeps: " + (known.empty() ? "none" : known);
}

} // namespace

std::vector<Problem> doubtfulNeeds(const ServiceCatalog& services)
{
    std::vector<Problem> problems;
    for (const auto& service : services.all())
    {
        const std::size_t before = problems.size();
        const auto tell = [&](const std::string& key, const std::string& doubt)
        {
            if (!doubt.empty())
                problems.push_back({.file = service->file, .key = key, .message = doubt});
        };
        const PipelineSpec& pipeline = service->pipeline;
        for (std::size_t i = 0; i < pipeline.stages.size(); ++i)
            for (std::size_t k = 0; k < pipeline.stages[i].needs.size(); ++k)
                tell("stages[" + std::to_string(i) + "].needs[" + std::to_string(k) + "]",
                     doubtAbout(pipeline.stages[i].needs[k], services));
        if (pipeline.file)
            for (std::size_t i = 0; i < pipeline.file->allow.needs.size(); ++i)
                if (const std::string& name = pipeline.file->allow.needs[i]; !services.find(name))
                    tell("allow.needs[" + std::to_string(i) + "]",
                         "there is no service '" + name + "' (yet)");
        if (problems.size() == before)
            continue;
        const KeyPlaces places = parseService(service->file).places;
        for (std::size_t i = before; i < problems.size(); ++i)
        {
            findPlace(problems[i], places);
            problems[i].column = 0;
        }
    }
    return problems;
}

} // namespace agent
