#pragma once

#include "agent/model/Timestamp.h"

#include <filesystem>
#include <optional>
#include <string>

namespace agent
{

/// How the record is, seen from outside of the daemon.
struct RecordReport
{
    std::string damage;            ///< what SQLite says is wrong with the file; empty: it is whole
    std::string unknown;           ///< why it could not be looked at; empty: it was
    int schema = 0;                ///< that it has
    int newestSchema = 0;          ///< that this build knows
    std::optional<TimeMs> lastEnd; ///< the newest end of a run; none: no run has ended yet
};

/// Looks at the record with or without a daemon that writes it. Makes and changes no file; its lock is
/// one that a reader in the daemon has too.
/// Errors: none; they are told in the report. Blocks: for a read of the whole file.
RecordReport reportOn(const std::filesystem::path& record);

} // namespace agent
