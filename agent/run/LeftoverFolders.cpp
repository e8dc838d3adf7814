#include "agent/run/LeftoverFolders.h"

#include "agent/store/RunStore.h"

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
                if (!runs.run(folder.path().filename().string()))
                    _cleanup.discard(folder.path());
            }
        }
    }
    catch (const std::exception&)
    {
        // Folders that can't be read now are found at the next start.
    }
}

} // namespace agent
