#pragma once

#include "agent/run/StateFolder.h"
#include "agent/store/Database.h"

namespace agent
{

/// Sees to it that `<state.dir>/admin.token` holds a valid token named `admin` with the role admin: makes a
/// new one where the file is missing or its token is not valid, and ends the one before. Mode 0600.
/// Returns whether a new one was made.
/// Errors: std::system_error when the file can't be written; those of the record.
/// Threads: the starting one, before the engine runs.
bool ensureAdminToken(const StateFolder& state, Database& database);

} // namespace agent
