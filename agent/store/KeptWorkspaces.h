#pragma once

#include "agent/store/Database.h"

#include <optional>
#include <string>

namespace agent
{

/// Which kept workspace a run has, or had.
struct KeptWorkspace
{
    std::string path;  ///< below the folder of all of them
    bool used = true;  ///< it is the run's; else the run has one of its own after all
    bool last = false; ///< no other run has had it since
};

/// Who had a kept workspace last.
struct WorkspaceHolder
{
    std::string runId;
    bool ended = false;
};

/// The workspaces that are kept from one run to the next: docs/workspaces.md. A thin view on a connection, as RunStore. The
/// row of a run goes with it.
/// Errors: Poco::Data::DataException.
class KeptWorkspaces
{
public:
    explicit KeptWorkspaces(RecordSession& connection) : _connection(connection) {}

    [[nodiscard]] std::optional<KeptWorkspace> ofRun(const std::string& runId);

    /// Returns nothing where no run on record is the last one.
    [[nodiscard]] std::optional<WorkspaceHolder> holder(const std::string& path);

    /// Makes the run the one that had it last.
    void take(const std::string& runId, const std::string& path);

    /// The run has one of its own after all. It stays the holder.
    void turnAway(const std::string& runId);

private:
    RecordSession& _connection;
};

} // namespace agent
