#include "tests/torture/AskedRuns.h"

#include <Poco/Exception.h>

#include <cppunit/TestAssert.h>

#include <algorithm>

namespace agent::test
{

void AskedRuns::submit(const std::string& body)
{
    Asked& asked = _asked.emplace_back();
    asked.key = _name + "-" + std::to_string(_count++);
    asked.body = body;
    ask(asked);
}

void AskedRuns::ask(Asked& asked) const
{
    try
    {
        const Answer answer =
            _daemon.request("POST", "/api/runs", asked.body, {{"Idempotency-Key", asked.key}});
        if (answer.status == 201 || answer.status == 200)
            asked.id = answer.json()["id"].GetString();
        else
            CPPUNIT_ASSERT_MESSAGE(
                answer.body,
                answer.status == 503 || // 429: disk_low
                    (answer.status == 429 && answer.body.find("disk_low") != std::string::npos));
    }
    catch (const Poco::Exception&)
    {
        // It died before it answered.
    }
}

void AskedRuns::submitOpen()
{
    for (Asked& asked : _asked)
        if (asked.id.empty())
            waitFor("a run to be taken",
                    [&]
                    {
                        ask(asked);
                        return !asked.id.empty();
                    });
}

std::size_t AskedRuns::open() const
{
    return static_cast<std::size_t>(std::count_if(_asked.begin(), _asked.end(),
                                                  [](const Asked& one) { return one.id.empty(); }));
}

void AskedRuns::deleteBut(std::size_t most)
{
    while (_asked.size() > most && !_asked.front().id.empty())
    {
        _toDelete.insert(_asked.front().id);
        _asked.erase(_asked.begin());
    }
    for (auto run = _toDelete.begin(); run != _toDelete.end();)
        try
        {
            const int status = _daemon.request("DELETE", "/api/runs/" + *run).status;
            run = status == 200 || status == 404 ? _toDelete.erase(run) : std::next(run);
        }
        catch (const Poco::Exception&)
        {
            return; // it died of it, which is what some want to see
        }
}

bool AskedRuns::over() const
{
    return std::all_of(_asked.begin(), _asked.end(),
                       [this](const Asked& asked)
                       {
                           const std::string status =
                               asked.id.empty() ? "" : _daemon.statusOf(asked.id);
                           return status == "SUCCESS" || status == "FAILURE";
                       });
}

std::vector<std::string> AskedRuns::ids() const
{
    std::vector<std::string> ids;
    for (const Asked& asked : _asked)
        ids.push_back(asked.id);
    return ids;
}

std::string AskedRuns::described() const
{
    std::string all;
    for (const Asked& asked : _asked)
        all += asked.key + " " + asked.id + " " +
               (asked.id.empty() ? "" : _daemon.statusOf(asked.id)) + "\n";
    for (const auto& run : _toDelete)
        all += "to delete: " + run + "\n";
    return all;
}

} // namespace agent::test
