#pragma once

#include "agent/run/CleanupWorker.h"
#include "agent/run/StateFolder.h"
#include "agent/store/Database.h"

#include <thread>

namespace agent
{

/// Finds run folders without a run on record, in the background, once: a daemon that died between the
/// deletion of a run and that of its folder left the folder. A run is on record before its folder is made,
/// so that no folder of a new run is taken for one. Then the same for sets of artifacts of attempts that have none on record.
/// Threads: its own, of low priority; ends with the object.
class LeftoverFolders
{
public:
    /// Starts looking. Owner: the caller, of all three, which must outlive it.
    LeftoverFolders(const StateFolder& state, Database& database, CleanupWorker& cleanup);

private:
    void work(const std::stop_token& stop);
    void findSets(const std::stop_token& stop);

    const StateFolder& _state;
    Database& _database;
    CleanupWorker& _cleanup;
    std::jthread _thread;
};

} // namespace agent
