#pragma once

#include "agent/ctl/Agents.h"

#include <rapidjson/document.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace agent::ctl
{

/// An object from an agent's answer.
struct Entry
{
    const Agent* agent = nullptr;
    const rapidjson::Value* value = nullptr;
    std::string_view json; ///< its text in the answer
};

/// The answers of all agents as one list: the objects of their lists, or one object per agent.
/// With a single agent there is no column HOST, and its JSON is unchanged.
class Listing
{
public:
    enum class Of
    {
        Lists,
        Objects
    };

    /// Asks the agents. Errors: the Failure of a single agent; end() reports those of several.
    Listing(const Agents& agents, Of of, const std::function<Answer(const Client&)>& ask);
    Listing(const Listing&) = delete;
    Listing& operator=(const Listing&) = delete;

    [[nodiscard]] const std::vector<Entry>& entries() const { return _entries; }

    /// Merges the lists of several agents by `createdAt`, newest first, and keeps `limit` entries.
    void keepNewest(std::size_t limit);

    /// Return a table's headings and a row's cells, with the host in front if there are several agents.
    [[nodiscard]] std::vector<std::string> headings(std::vector<std::string> names) const;
    [[nodiscard]] std::vector<std::string> row(const Entry& entry,
                                               std::vector<std::string> cells) const;

    /// Returns the prefix of a line about the entry: `HOST` and `separator`, or nothing with one agent.
    [[nodiscard]] std::string host(const Entry& entry, const std::string& separator) const;

    /// Returns one document: the single agent's, or a list whose objects begin with their agent's URL as
    /// `agent`.
    [[nodiscard]] std::string json() const;

    /// Prints the text if any agent answered, reports the agents that did not, and returns the highest
    /// exit code.
    [[nodiscard]] Exit end(const std::string& text) const;

    [[nodiscard]] const std::vector<Failure>& missing() const { return _replies.missing; }

private:
    struct Given
    {
        Answer answer;
        rapidjson::Document document;
    };

    bool _several;
    Replies<Given> _replies;
    std::vector<Entry> _entries;
};

} // namespace agent::ctl
