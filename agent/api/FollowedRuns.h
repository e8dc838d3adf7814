#pragma once

#include "agent/api/RunFacts.h"
#include "agent/model/Run.h"
#include "agent/store/Database.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace agent
{

/// Finds out how a run stands, as RunInquiry.
using RunFactsOf = std::function<RunFacts(RecordSession&, const Run&)>;

/// A run as it was last committed.
struct FollowedRun
{
    Run run;
    std::string json;          ///< as the API shows it; what it waits for, as of this commit
    std::vector<Stage> stages; ///< in execution order
    bool gone = false;         ///< it was deleted; the rest is empty

    [[nodiscard]] const Stage* stage(const std::string& id) const; ///< null: there is none
};

/// Says whether nothing will be added to the log of `attempt`.
bool attemptOver(const Stage& stage, int attempt);

/// The record, as all followers see it: a run is read once for each commit that changes it, the history
/// is read once.
/// Threads: the followers'. Errors: Poco::Data::DataException.
class FollowedRuns
{
public:
    FollowedRuns(Database& database, RunFactsOf facts)
        : _database(database), _facts(std::move(facts))
    {
    }

    std::shared_ptr<const FollowedRun> get(const std::string& runId);

    /// Takes note that these runs changed, and of the history since.
    void changed(const std::set<std::string>& runIds);

    /// Forgets all that was read, as after a time without followers, in which changes are not reported.
    void forget();

    /// Which run or stage changed, in the order of the history.
    struct Change
    {
        std::int64_t seq = 0;
        std::string runId;
        std::string stageId; ///< empty: the run
    };

    /// The seq of the newest change.
    std::int64_t newest();

    /// Changes after `seq`, oldest first; not always all of them, but at least one when there is one.
    std::vector<Change> after(std::int64_t seq);

private:
    void readOn();

    Database& _database;
    const RunFactsOf _facts;
    std::map<std::string, std::shared_ptr<const FollowedRun>> _runs;

    // The newest changes: all of those after _before.
    std::deque<Change> _changes;
    std::int64_t _before = -1; ///< -1: not asked yet
    std::int64_t _newest = 0;
};

} // namespace agent
