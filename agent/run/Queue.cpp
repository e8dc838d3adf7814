#include "agent/run/Queue.h"

#include <algorithm>
#include <map>

namespace agent
{

std::vector<std::string> Queue::next(const std::vector<Run>& open) const
{
    int free = slots;
    std::map<std::string, int> begun; // by service: an approval or an outside party keeps its place
    std::vector<const Run*> waiting;
    for (const auto& run : open)
    {
        if (run.holdsSlot)
            --free;
        if (run.status != Status::Idle || run.holdsSlot)
            ++begun[run.serviceName];
        if (run.wantsSlot)
            waiting.push_back(&run);
    }
    std::stable_sort(waiting.begin(), waiting.end(),
                     [](const Run* a, const Run* b)
                     {
                         if (a->resumed != b->resumed)
                             return a->resumed;
                         if (a->priority != b->priority)
                             return a->priority > b->priority;
                         return a->seq < b->seq;
                     });

    std::vector<std::string> chosen;
    for (const Run* run : waiting)
    {
        if (free <= 0)
            break;
        if (run->status == Status::Idle)
        {
            if (draining)
                continue;
            int& count = begun[run->serviceName];
            if (!run->serviceName.empty() && count >= concurrency(run->serviceName))
                continue;
            ++count;
        }
        --free;
        chosen.push_back(run->id);
    }
    return chosen;
}

} // namespace agent
