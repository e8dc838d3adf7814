#include "agent/ctl/Agents.h"

#include "agent/ctl/Text.h"

#include <Poco/Exception.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

namespace agent::ctl
{

namespace
{

// Requests usually take milliseconds; this allows for a busy host far away.
constexpr std::chrono::seconds answerTimeout{15};
// They only wait; a thread for each of a fleet's addresses would cost memory without speed.
constexpr std::size_t maxThreads = 32;

/// Returns names for it, the shortest first; the last is unique.
std::vector<std::string> namesOf(const Client& client)
{
    const Address& address = client.address();
    if (address.scheme == Address::Scheme::Unix)
        return {address.socket, address.socket, address.socket};
    std::string host = address.host;
    if (host.find(':') != std::string::npos)
        host = "[" + host + "]";
    const std::string withPort = host + ":" + std::to_string(address.port);
    return {host, withPort, withPort + address.path};
}

/// Returns a Failure that names its agent.
Failure failureOf(const Client& client, Exit exit, const std::string& message)
{
    const std::string url = visible(client.url());
    const bool named = message.find(url) != std::string::npos;
    return {exit, named ? message : url + ": " + message};
}

std::optional<Failure> attempt(const Client& client, const std::function<void(const Client&)>& work)
{
    try
    {
        work(client);
        return std::nullopt;
    }
    catch (const Failure& failure)
    {
        return failureOf(client, failure.exit(), failure.what());
    }
    catch (const Poco::Exception& error)
    {
        return failureOf(client, Exit::AgentFailed, error.displayText());
    }
    catch (const std::exception& error)
    {
        return failureOf(client, Exit::AgentFailed, error.what());
    }
}

} // namespace

Agents::Agents(const std::vector<std::string>& urls, const std::string& token, bool named,
               const std::string& caFile)
    : _named(named)
{
    for (const std::string& url : urls)
    {
        const Client client(url, token, caFile);
        if (std::none_of(_all.begin(), _all.end(),
                         [&](const Agent& known)
                         { return known.client.address() == client.address(); }))
            _all.push_back({client, ""});
    }
    for (Agent& agent : _all)
    {
        const auto names = namesOf(agent.client);
        std::size_t take = 0;
        for (const Agent& other : _all)
            while (&other != &agent && namesOf(other.client)[take] == names[take])
                ++take;
        agent.host = visible(names[take]);
    }
}

std::vector<Failure>
Agents::inParallel(const std::function<void(std::size_t, const Client&)>& work) const
{
    std::vector<std::optional<Failure>> failures(_all.size());
    std::atomic<std::size_t> next = 0;
    const auto worker = [&]
    {
        for (std::size_t i = next++; i < _all.size(); i = next++)
            failures[i] = attempt(_all[i].client.within(answerTimeout),
                                  [&](const Client& client) { work(i, client); });
    };
    {
        std::vector<std::jthread> threads; // joined at the end of this scope
        while (threads.size() < std::min(_all.size(), maxThreads))
            threads.emplace_back(worker);
    }
    std::vector<Failure> missing;
    for (const auto& failure : failures)
        if (failure)
            missing.push_back(*failure);
    return missing;
}

std::string listed(const std::vector<Failure>& failures)
{
    std::string lines;
    for (const Failure& failure : failures)
    {
        const std::string message = failure.what();
        lines += "\n" + message.substr(0, message.find('\n'));
    }
    return lines;
}

Exit worst(const std::vector<Failure>& failures, Exit atLeast)
{
    for (const Failure& failure : failures)
        atLeast = std::max(atLeast, failure.exit());
    return atLeast;
}

} // namespace agent::ctl
