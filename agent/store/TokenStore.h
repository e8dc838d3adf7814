#pragma once

#include "agent/model/Token.h"
#include "agent/store/Database.h"

#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// The tokens on record. A thin view on a connection, as RunStore.
/// Errors: Poco::Data::DataException; nothing is changed then beyond the open transaction.
class TokenStore
{
public:
    explicit TokenStore(RecordSession& connection) : _connection(connection) {}

    [[nodiscard]] std::vector<Token> all(); ///< by name
    [[nodiscard]] std::optional<Token> find(const std::string& name);

    void insert(const Token& token);
    void remove(const std::string& name);

    /// Changes nothing when there is no such token.
    void setUsed(const std::string& name, TimeMs at);

private:
    RecordSession& _connection;
};

} // namespace agent
