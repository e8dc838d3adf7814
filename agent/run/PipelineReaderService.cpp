// The keys that say what a service's runs are marked with and where its forge shows them.
#include "agent/run/InputRules.h"
#include "agent/run/PipelineReader.h"

namespace agent
{

void PipelineReader::readLabels(const DocumentMap& map, Service& service)
{
    const auto labels = map.find("labels");
    if (!labels)
        return;
    for (const DocumentValue& label : labels->members())
    {
        const auto value = label.text();
        if (const auto problem = labelKeyProblem(label.key()); !problem.empty())
            label.problem("its key " + problem);
        else if (const auto wrong = labelValueProblem(value.value_or("")); !wrong.empty())
            label.problem(wrong);
        service.labels[label.key()] = value.value_or("");
    }
    if (service.labels.size() > bounds::labels)
        labels->problem("must not hold more than " + std::to_string(bounds::labels) + " labels");
}

void PipelineReader::readLinks(const DocumentMap& map, Service& service)
{
    const auto links = map.find("links");
    if (!links)
        return;
    const DocumentMap addresses(*links, {"commit", "branch", "pull"});
    for (const auto& [name, to] :
         {std::pair{"commit", &service.links.commit}, std::pair{"branch", &service.links.branch},
          std::pair{"pull", &service.links.pull}})
        if (const auto address = addresses.find(name))
        {
            *to = address->text().value_or("");
            std::string placeholder = "{";
            placeholder.append(name).append("}");
            if (const auto problem = linkProblem(*to, placeholder); !problem.empty())
                address->problem(problem);
        }
}

} // namespace agent
