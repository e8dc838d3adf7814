#pragma once

#include "agent/ctl/Agents.h"

#include <rapidjson/document.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace agent::ctl
{

/// An object that an agent gave.
struct Entry
{
    const Agent* agent = nullptr;
    const rapidjson::Value* value = nullptr;
    std::string_view json; ///< as it was written
};

/// What all agents gave, as one list: the objects of their lists, or of each its one object.
/// With one agent it looks as if there were no others: no HOST, its JSON as it came.
class Listing
{
public:
    enum class Of
    {
        Lists,
        Objects
    };

    /// Asks the agents. Errors: Failure, of one agent; with several it is told at the end.
    Listing(const Agents& agents, Of of, const std::function<Answer(const Client&)>& ask);
    Listing(const Listing&) = delete;
    Listing& operator=(const Listing&) = delete;

    [[nodiscard]] const std::vector<Entry>& entries() const { return _entries; }

    /// Orders what several gave by `createdAt`, newest first, and keeps `limit` of it.
    void keepNewest(std::size_t limit);

    /// The headings of a table, and the cells of a row: with the host in front where there are several.
    [[nodiscard]] std::vector<std::string> headings(std::vector<std::string> names) const;
    [[nodiscard]] std::vector<std::string> row(const Entry& entry,
                                               std::vector<std::string> cells) const;

    /// What begins a line about the entry: nothing, or `HOST` and what follows it.
    [[nodiscard]] std::string host(const Entry& entry, const std::string& then) const;

    /// One document. Shape: of several a list, each object with its agent's address as `agent` in front.
    [[nodiscard]] std::string json() const;

    /// Prints the text, unless nobody answered; tells who gave nothing and why. Shape: the worst of it.
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
