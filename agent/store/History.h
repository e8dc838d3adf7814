#pragma once

#include "agent/model/Stage.h"
#include "agent/store/Database.h"

#include <string>
#include <vector>

namespace agent
{

/// Who changed what, when and why. Append-only: nothing here changes or removes a row.
class History
{
public:
    explicit History(RecordSession& connection) : _connection(connection) {}

    void append(const HistoryEntry& entry);

    /// Oldest first.
    [[nodiscard]] std::vector<HistoryEntry> ofStage(const std::string& stageId);
    [[nodiscard]] std::vector<HistoryEntry> ofRun(const std::string& runId);

private:
    static std::vector<HistoryEntry> read(Statement& query);

    RecordSession& _connection;
};

} // namespace agent
