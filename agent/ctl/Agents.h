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

/// One of the agents that a command talks to.
struct Agent
{
    Client client;
    std::string
        host; ///< tells it from the others: its host; with port, or path too, where two share it
};

/// What the agents said to one question.
template <typename T> struct Replies
{
    std::vector<std::pair<const Agent*, T>> given; ///< in the order of the agents
    std::vector<Failure> missing; ///< why the others gave nothing; each names its agent
};

/// The agents that a command talks to: one, or several that are asked at once.
class Agents
{
public:
    /// Takes at least one address; one that is given twice counts once. `named`: on the command line.
    /// Errors: as Client.
    Agents(const std::vector<std::string>& urls, const std::string& token, bool named);

    [[nodiscard]] const std::vector<Agent>& all() const { return _all; }
    [[nodiscard]] bool several() const { return _all.size() > 1; }
    [[nodiscard]] bool named() const { return _named; }

    /// Asks each: one in this thread, whose Failure goes on to the caller; several in threads of their
    /// own, each with a client that gives up after 15 s in all, so that a host that hangs holds up
    /// nobody for longer.
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
        replies.missing =
            atOnce([&](std::size_t i, const Client& client) { values[i].emplace(ask(client)); });
        for (std::size_t i = 0; i < _all.size(); ++i)
            if (values[i])
                replies.given.emplace_back(&_all[i], std::move(*values[i]));
        return replies;
    }

private:
    std::vector<Failure> atOnce(const std::function<void(std::size_t, const Client&)>& work) const;

    std::vector<Agent> _all;
    bool _named = false;
};

/// The failures' first lines, each on a line of its own with a line end before it.
std::string listed(const std::vector<Failure>& failures);

/// The highest exit code of all.
Exit worst(const std::vector<Failure>& failures, Exit atLeast);

} // namespace agent::ctl
