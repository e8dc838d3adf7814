#include "agent/store/TokenStore.h"

#include "agent/store/Query.h"
#include "agent/store/Tables.h"

namespace agent
{

namespace
{

const Query allTokens{tokenTable.select("ORDER BY name")};
const Query tokenByName{tokenTable.select("WHERE name = ?")};
const Query insertToken{tokenTable.insert()};
const Query deleteToken{"DELETE FROM tokens WHERE name = ?"};
const Query tokenUsed{"UPDATE tokens SET last_used_at = ?2 WHERE name = ?1"};

} // namespace

std::vector<Token> TokenStore::all()
{
    Statement& query = _connection.prepare(allTokens);
    std::vector<Token> found;
    while (query.step())
        tokenTable.read(query, found.emplace_back());
    query.reset();
    return found;
}

std::optional<Token> TokenStore::find(const std::string& name)
{
    Statement& query = _connection.prepare(tokenByName).bind(name);
    std::optional<Token> found;
    if (query.step())
        tokenTable.read(query, found.emplace());
    query.reset();
    return found;
}

void TokenStore::insert(const Token& token)
{
    tokenTable.bindInsert(_connection.prepare(insertToken), token).run();
}

void TokenStore::remove(const std::string& name)
{
    _connection.prepare(deleteToken).bind(name).run();
}

void TokenStore::setUsed(const std::string& name, TimeMs at)
{
    _connection.prepare(tokenUsed).bind(name).bind(at).run();
}

} // namespace agent
