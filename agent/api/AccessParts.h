#pragma once

#include "agent/api/Access.h"
#include "agent/run/StateFolder.h"
#include "agent/store/Database.h"

#include <filesystem>
#include <functional>
#include <string>

namespace agent
{

class Engine;

/// Tokens, sessions and what decides by them, wired up once.
struct AccessParts
{
    /// Loads the tokens on record and the credentials, and sees to `<state.dir>/admin.token`. `credentials` is
    /// systemd's folder of them; empty: none.
    /// Errors: std::system_error when admin.token can't be written; those of the record.
    /// Threads: the starting one, before the engine runs.
    AccessParts(AccessOptions options, std::filesystem::path credentials, const StateFolder& state,
                Database& database);

    /// From now on the engine records what is used.
    void start(Engine& engine);

    /// Records the last uses, before the engine stops. What can't be written is lost: it is known to the
    /// minute at best.
    void stop() noexcept;

    /// Reads the credentials again.
    void reload();

    TokenCatalog tokens;
    Sessions sessions;
    Access access;

private:
    AccessOptions withUses(AccessOptions options);

    const std::filesystem::path _credentials;
    const std::function<void(const std::string&)> _log;
    Engine* _engine = nullptr; ///< set before there are requests
};

} // namespace agent
