#pragma once

#include "agent/ctl/Client.h"
#include "agent/ctl/Failure.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace agent::ctl
{

/// One of the agents that a command addresses.
struct Agent
{
    Client client;
    std::string host; ///< unique among them: the host, with port or path as well where two share it
};

/// The agents' answers to one question.
template <typename T> struct Replies
{
    std::vector<std::pair<const Agent*, T>> given; ///< in the order of the agents
    std::vector<Failure> missing; ///< why the others gave none; each names its agent
};

/// The agents that a command addresses: one, or several that are asked in parallel.
class Agents
{
public:
    /// `urls` holds at least one; duplicates are dropped. `named`: they come from the command line.
    /// Errors: as Client.
    Agents(const std::vector<std::string>& urls, const std::string& token, bool named,
           const std::string& caFile = {});

    [[nodiscard]] const std::vector<Agent>& all() const { return _all; }
    [[nodiscard]] bool several() const { return _all.size() > 1; }
    [[nodiscard]] bool named() const { return _named; }

    /// Returns the answers of all agents. A single agent's Failure is thrown; those of several are in
    /// `missing`.
    /// Threads: a single agent is asked in the caller's; several each in one of their own, for at most
    /// 15 s, so that one host that hangs delays the others no longer.
    template <typename Ask> auto ask(const Ask& ask) const
    {
        using T = std::invoke_result_t<Ask, const Client&>;
        Replies<T> replies;
        if (!several())
        {
            replies.given.emplace_back(&_all.front(), ask(_all.front().client));
            return replies;
        }
        std::vector<std::optional<T>> values(_all.size());
        replies.missing = inParallel([&](std::size_t i, const Client& client)
                                     { values[i].emplace(ask(client)); });
        for (std::size_t i = 0; i < _all.size(); ++i)
            if (values[i])
                replies.given.emplace_back(&_all[i], std::move(*values[i]));
        return replies;
    }

private:
    std::vector<Failure>
    inParallel(const std::function<void(std::size_t, const Client&)>& work) const;

    std::vector<Agent> _all;
    bool _named = false;
};

/// Returns the first line of each failure, each preceded by a line break.
std::string listed(const std::vector<Failure>& failures);

/// Returns the highest exit code of them and `atLeast`.
Exit worst(const std::vector<Failure>& failures, Exit atLeast);

} // namespace agent::ctl
