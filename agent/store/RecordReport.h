#pragma once

#include "agent/model/Timestamp.h"

#include <filesystem>
#include <optional>
#include <string>

namespace agent
{

/// How much of the record is read.
enum class RecordDepth
{
    FirstPages, ///< header, schema, the root of each table
    Whole
};

/// How the record is, seen from outside of the daemon.
struct RecordReport
{
    std::string damage;            ///< what SQLite says is wrong with what was read; empty: nothing
    std::string unknown;           ///< why it could not be looked at; empty: it was
    int schema = 0;                ///< that it has
    int newestSchema = 0;          ///< that this build knows
    std::optional<TimeMs> lastEnd; ///< the newest end of a run; none: no run has ended yet
};

/// Looks at the record with or without a daemon that writes it. Makes and changes no file; its lock is
/// one that a reader in the daemon has too.
/// Errors: none; they are in the report. Blocks: for a read of the whole file, where that is asked for.
RecordReport reportOn(const std::filesystem::path& record, RecordDepth depth);

} // namespace agent
