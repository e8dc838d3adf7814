#pragma once

#include "agent/model/Token.h"
#include "agent/run/TokenCatalog.h"

#include <string>

namespace agent
{

class Engine;

namespace commands
{

/// Puts a new token on record and in the catalog. An expired one of the same name is replaced.
/// Errors: Declined Conflict: the name is taken, or there are TokenCatalog::most.
void createToken(Engine& engine, TokenCatalog& tokens, const Token& token);

/// Ends a token at once. Returns it. Errors: Declined NotFound; Conflict: it is not on record.
Token revokeToken(Engine& engine, TokenCatalog& tokens, const std::string& name);

/// Has the last uses written, together with what else is to be written. Never blocks.
void recordTokenUses(Engine& engine, TokenCatalog& tokens);

/// The same, and blocks until they are: before the engine stops.
void flushTokenUses(Engine& engine, TokenCatalog& tokens);

} // namespace commands

} // namespace agent
