#include "agent/ctl/Listing.h"

#include "agent/ctl/Json.h"
#include "agent/ctl/Terminal.h"

#include <algorithm>
#include <utility>

namespace agent::ctl
{

Listing::Listing(const Agents& agents, Of of, const std::function<Answer(const Client&)>& ask)
    : _several(agents.several()),
      _replies(agents.ask(
          [&](const Client& client)
          {
              Answer answer = ask(client);
              auto document = of == Of::Lists ? listOf(answer) : objectOf(answer);
              return Given{std::move(answer), std::move(document)};
          }))
{
    for (const auto& [agent, given] : _replies.given)
    {
        const auto texts = objectsIn(given.answer.body);
        if (of == Of::Objects)
            _entries.push_back({agent, &given.document, texts.front()});
        else
            for (rapidjson::SizeType i = 0; i < given.document.Size(); ++i)
                _entries.push_back({agent, &given.document[i], texts[i]});
    }
}

void Listing::keepNewest(std::size_t limit)
{
    if (!_several)
        return;
    std::stable_sort(_entries.begin(), _entries.end(),
                     [](const Entry& one, const Entry& other)
                     { return text(*one.value, "createdAt") > text(*other.value, "createdAt"); });
    if (_entries.size() > limit)
        _entries.resize(limit);
}

std::vector<std::string> Listing::headings(std::vector<std::string> names) const
{
    if (_several)
        names.insert(names.begin(), "HOST");
    return names;
}

std::vector<std::string> Listing::row(const Entry& entry, std::vector<std::string> cells) const
{
    if (_several)
        cells.insert(cells.begin(), entry.agent->host);
    return cells;
}

std::string Listing::host(const Entry& entry, const std::string& separator) const
{
    return _several ? entry.agent->host + separator : "";
}

std::string Listing::json() const
{
    if (!_several)
        return _replies.given.front().second.answer.body;
    std::string all;
    for (const Entry& entry : _entries)
        all += (all.empty() ? "" : ",") +
               withMember(entry.json, "agent", quoted(entry.agent->client.url()));
    return "[" + all + "]";
}

Exit Listing::end(const std::string& text) const
{
    if (!_replies.given.empty())
        writeOut(text.empty() || text.back() == '\n' ? text : text + "\n");
    for (const Failure& failure : _replies.missing)
        printError(failure.what());
    return worst(_replies.missing, Exit::Ok);
}

} // namespace agent::ctl
