#pragma once

#include "agent/model/Token.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace agent
{

/// A token while it is valid. Whoever was let in by it holds it, and sees its end.
struct Grant
{
    explicit Grant(Token made, std::shared_ptr<const Grant> parent = nullptr)
        : token(std::move(made)),
          from(std::move(parent)),
          usedAt(token.lastUsedAt.value_or(0)),
          recordedAt(usedAt.load())
    {
    }

    /// Whether it still lets its bearer in. Threads: any.
    [[nodiscard]] bool valid(TimeMs now) const
    {
        return !revoked.load() && (!token.expiresAt || now < *token.expiresAt) &&
               (!from || from->valid(now));
    }

    /// When it expires; nothing: never.
    [[nodiscard]] std::optional<TimeMs> endsAt() const
    {
        const auto parents = from ? from->endsAt() : std::nullopt;
        if (!token.expiresAt || !parents)
            return token.expiresAt ? token.expiresAt : parents;
        return std::min(*token.expiresAt, *parents);
    }

    const Token token;
    const std::shared_ptr<const Grant> from; ///< of a session: the token that opened it; null: none
    std::atomic<bool> revoked = false;
    std::atomic<TimeMs> usedAt;     ///< 0: never
    std::atomic<TimeMs> recordedAt; ///< the use that is on record
};

/// The tokens as requests find them: in memory, so that no request reads the record for its token. The commands
/// on tokens change it right after their commit, on the engine's thread.
/// Threads: any.
class TokenCatalog
{
public:
    /// Which tokens there can be; a look-up compares with each.
    static constexpr std::size_t most = 1000;

    /// Called when a token was revoked, on the thread that did; set before others know the catalog.
    std::function<void()> revoked = [] {};

    void add(const Token& token);
    void remove(const std::string& name);

    /// Replaces the tokens that were given from outside and are not on record.
    void setOutside(const std::vector<Token>& tokens);

    /// Returns the token with this secret, which may have expired; null when there is none. Takes as long for
    /// a token that there is as for another.
    [[nodiscard]] std::shared_ptr<Grant> find(std::string_view secret) const;

    /// Notes that it was used. Returns whether takeUses() is to be called soon: once a minute and token at most.
    [[nodiscard]] bool use(Grant& grant, TimeMs now);

    /// Returns what was used since it was last recorded, and when, and takes it as recorded.
    [[nodiscard]] std::vector<std::pair<std::string, TimeMs>> takeUses();

    /// A token, with its last use.
    struct Listed
    {
        Token token;
        bool outside = false; ///< not on record
    };
    [[nodiscard]] std::vector<Listed> all() const; ///< by name

private:
    using Grants = std::vector<std::shared_ptr<Grant>>;

    [[nodiscard]] static Listed listed(const Grant& grant, bool outside);

    mutable std::mutex _mutex;
    Grants _recorded; // guarded by _mutex
    Grants _outside;  // guarded by _mutex
    std::atomic<bool> _takesUses = false;
};

} // namespace agent
