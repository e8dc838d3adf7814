#pragma once

#include "agent/model/Stage.h"
#include "agent/store/Database.h"

#include <string>
#include <vector>

namespace agent
{

/// Who changed what, when and why. Nothing changes a row, and rows only go with the run they are of.
class History
{
public:
    explicit History(RecordSession& connection) : _connection(connection) {}

    void append(const HistoryEntry& entry);

    /// Removes all entries of a run that is removed.
    void forgetRun(const std::string& runId);

    /// Removes entries that tell of the removal of a run, where they are older than `before`.
    void forgetDeletions(TimeMs before);

    /// Returns whether clients gave a reason for `count` (> 0) changes of the stage. Reads no more than its
    /// entries.
    [[nodiscard]] bool hasRemarks(const std::string& stageId, int count);

    /// Returns whether the run itself was corrected `count` (> 0) times: an entry that changes no status.
    [[nodiscard]] bool hasCorrections(const std::string& runId, int count);

    /// Oldest first: at most `limit` entries with a greater seq than `after`; -1: all.
    [[nodiscard]] std::vector<HistoryEntry> ofStage(const std::string& stageId,
                                                    std::int64_t after = 0, int limit = -1);
    [[nodiscard]] std::vector<HistoryEntry> ofRun(const std::string& runId, std::int64_t after = 0,
                                                  int limit = -1);

    /// At most `limit` entries of all runs with a greater seq than `seq`, oldest first.
    [[nodiscard]] std::vector<HistoryEntry> after(std::int64_t seq, int limit);

    /// The seq of the newest entry; 0 when there is none.
    [[nodiscard]] std::int64_t lastSeq();

    /// When it was written; nothing when there is none.
    [[nodiscard]] std::optional<TimeMs> lastAt();

private:
    static std::vector<HistoryEntry> read(Statement& query);

    RecordSession& _connection;
};

} // namespace agent
