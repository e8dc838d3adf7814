#include "agent/run/TokenCommands.h"

#include "agent/run/Engine.h"
#include "agent/store/TokenStore.h"

#include <algorithm>

namespace agent::commands
{

namespace
{

void writeUses(Batch& batch, TokenCatalog& tokens)
{
    TokenStore store(batch.connection);
    for (const auto& [name, at] : tokens.takeUses())
        store.setUsed(name, at);
}

} // namespace

void createToken(Engine& engine, TokenCatalog& tokens, const Token& token)
{
    engine.call<Done>(
        [&tokens, token](Batch& batch, EngineParts&)
        {
            TokenStore store(batch.connection);
            if (const auto same = store.find(token.name))
            {
                if (!same->expiresAt || *same->expiresAt > token.createdAt)
                    throw Declined(Declined::Kind::Conflict, "token_exists",
                                   "there is a token '" + token.name +
                                       "'; revoke it first, or choose another name",
                                   "name");
                store.remove(token.name);
            }
            if (store.all().size() >= TokenCatalog::most)
                throw Declined::conflict("too_many_tokens",
                                         "there are " + std::to_string(TokenCatalog::most) +
                                             " tokens: revoke those that nobody uses");
            store.insert(token);
            batch.afterCommit.push_back([&tokens, token] { tokens.add(token); });
            return Done{};
        });
}

Token revokeToken(Engine& engine, TokenCatalog& tokens, const std::string& name)
{
    return engine.call<Token>(
        [&tokens, name](Batch& batch, EngineParts&) -> Token
        {
            TokenStore store(batch.connection);
            const auto token = store.find(name);
            if (!token)
            {
                const auto all = tokens.all();
                if (std::any_of(all.begin(), all.end(),
                                [&](const auto& listed)
                                { return listed.outside && listed.token.name == name; }))
                    throw Declined::conflict("token_from_outside",
                                             "'" + name +
                                                 "' is a credential of the agent's unit: remove "
                                                 "its file and reload the agent");
                throw Declined::notFound("token_not_found", "there is no token '" + name + "'");
            }
            store.remove(name);
            batch.afterCommit.push_back([&tokens, name] { tokens.remove(name); });
            return *token;
        });
}

void recordTokenUses(Engine& engine, TokenCatalog& tokens)
{
    engine.tell([&tokens](Batch& batch) { writeUses(batch, tokens); });
}

void flushTokenUses(Engine& engine, TokenCatalog& tokens)
{
    engine.call<Done>(
        [&tokens](Batch& batch, EngineParts&)
        {
            writeUses(batch, tokens);
            return Done{};
        });
}

} // namespace agent::commands
