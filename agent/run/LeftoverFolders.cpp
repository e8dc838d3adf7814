#include "agent/run/LeftoverFolders.h"

#include "agent/store/ArtifactSets.h"
#include "agent/store/RunStore.h"
#include "agent/store/TakenSets.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <system_error>

#include <sys/resource.h>

namespace agent
{

LeftoverFolders::LeftoverFolders(const StateFolder& state, Database& database,
                                 CleanupWorker& cleanup)
    : _state(state),
      _database(database),
      _cleanup(cleanup),
      _thread([this](const std::stop_token& stop) { work(stop); })
{
}

void LeftoverFolders::work(const std::stop_token& stop)
{
    ::setpriority(PRIO_PROCESS, 0, 19); // of this thread; its I/O priority follows
    using Entries = std::filesystem::directory_iterator;
    std::error_code error;
    try
    {
        for (const auto& group : Entries(_state.root() / "runs", error))
        {
            auto reader = _database.reader();
            RunStore runs(*reader);
            for (const auto& folder : Entries(group.path(), error))
            {
                if (stop.stop_requested())
                    return;
                const std::string id = folder.path().filename().string();
                if (!runs.run(id) && !TakenSets(*reader).holdsRun(id))
                    _cleanup.discard(folder.path());
            }
        }
        findSets(stop);
    }
    catch (const std::exception&)
    {
        // Folders that can't be read now are found at the next start.
    }
}

void LeftoverFolders::findSets(const std::stop_token& stop)
{
    using Entries = std::filesystem::directory_iterator;
    std::error_code error;
    for (const auto& run : Entries(_state.artifacts() / "sets", error))
    {
        auto reader = _database.reader();
        RunStore runs(*reader);
        const std::string id = run.path().filename().string();
        if (!runs.run(id))
        {
            if (!TakenSets(*reader).holdsRun(id))
                _cleanup.discardArtifacts(run.path());
            continue;
        }
        for (const auto& set : Entries(run.path(), error))
        {
            if (stop.stop_requested())
                return;
            // One that is being made belongs to a stage at work; its row comes with the end of that.
            const std::string name = set.path().filename().string();
            const std::size_t dot = std::min(name.find('.'), name.size());
            const auto stage = runs.stage(name.substr(0, dot));
            const int attempt = std::atoi(name.substr(dot == name.size() ? dot : dot + 1).c_str());
            if (stage && stage->status == Status::InProgress && stage->attempt == attempt)
                continue;
            if ((!stage || !ArtifactSets(*reader).has(stage->id, attempt)) &&
                !TakenSets(*reader).holdsSet(id, name.substr(0, dot), attempt))
                _cleanup.discardArtifacts(set.path());
        }
    }
}

} // namespace agent
