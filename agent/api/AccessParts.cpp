#include "agent/api/AccessParts.h"

#include "agent/run/AdminToken.h"
#include "agent/run/TokenCommands.h"
#include "agent/run/TokenCredentials.h"
#include "agent/store/TokenStore.h"

namespace agent
{

AccessParts::AccessParts(AccessOptions options, std::filesystem::path credentials,
                         const StateFolder& state, Database& database)
    : access(withUses(options), tokens, sessions),
      _credentials(std::move(credentials)),
      _log(options.log)
{
    if (ensureAdminToken(state, database) && _log)
        _log("a new admin token is in " + (state.root() / "admin.token").string());
    for (const auto& token : TokenStore(database.writer()).all())
        tokens.add(token);
    reload();
}

AccessOptions AccessParts::withUses(AccessOptions options)
{
    options.used = [this]
    {
        if (_engine)
            commands::recordTokenUses(*_engine, tokens);
    };
    return options;
}

void AccessParts::start(Engine& engine)
{
    _engine = &engine;
}

void AccessParts::stop() noexcept
try
{
    if (_engine)
        commands::flushTokenUses(*_engine, tokens);
}
catch (...) // NOLINT(bugprone-empty-catch): see the header
{
}

void AccessParts::reload()
{
    if (_credentials.empty())
        return;
    std::vector<std::string> problems;
    tokens.setOutside(tokenCredentials(_credentials, problems));
    if (_log)
        for (const auto& problem : problems)
            _log(problem);
}

} // namespace agent
