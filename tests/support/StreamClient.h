#pragma once

#include "tests/support/RawClient.h"
#include "tests/support/Tokens.h"

#include <cppunit/TestAssert.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace agent::test
{

/// One event of a stream, as a browser's EventSource would give it.
struct StreamEvent
{
    std::string id; ///< the last one that was set, here or before
    std::string name;
    std::string data;
};

/// A client of an answer without an end: a followed log or an event stream.
class StreamClient
{
public:
    static constexpr std::chrono::seconds patience{30};

    /// Sends the request, with the admin's token unless `headers` have one, and waits for the answer's head.
    StreamClient(const std::string& url, const std::string& target, const std::string& headers = "",
                 int receiveBuffer = 0)
        : _client(url, receiveBuffer)
    {
        const std::string host = url.substr(url.find("//") + 2);
        const std::string token =
            headers.find("Authorization:") == std::string::npos ? authorizationFor(url) : "";
        _client.send("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + token + headers +
                     "\r\n");
        const RawAnswer answer = _client.receive(true);
        status = answer.status;
        head = answer.head;
    }

    int status = 0;
    std::string head;

    /// Reads until the server closes. Errors: fails the test when it does not in time.
    std::string all()
    {
        return until([](const std::string&) { return false; }, true);
    }

    /// Reads until `enough(everything so far)`.
    std::string until(const std::function<bool(const std::string&)>& enough, bool toTheEnd = false)
    {
        const auto end = std::chrono::steady_clock::now() + patience;
        while (!enough(_text))
        {
            std::string more;
            const bool open = _client.readSome(more, std::chrono::milliseconds(200));
            _text += more;
            if (!open)
            {
                CPPUNIT_ASSERT_MESSAGE("the stream ended: " + tail(), toTheEnd);
                break;
            }
            CPPUNIT_ASSERT_MESSAGE("waited too long; so far: " + tail(),
                                   std::chrono::steady_clock::now() < end);
        }
        return _text;
    }

    std::string untilText(const std::string& wanted)
    {
        return until([&](const std::string& text)
                     { return text.find(wanted) != std::string::npos; });
    }

    /// Reads events until `last(event)`; that one is the last given.
    std::vector<StreamEvent> events(const std::function<bool(const StreamEvent&)>& last)
    {
        std::vector<StreamEvent> found;
        const auto limit = std::chrono::steady_clock::now() + patience;
        while (true)
        {
            // Heartbeats come also where no event does.
            CPPUNIT_ASSERT_MESSAGE(
                "the event did not come; the last one was " +
                    (found.empty() ? "none" : found.back().name + " " + found.back().data),
                std::chrono::steady_clock::now() < limit);
            const std::size_t end = _text.find("\n\n");
            if (end == std::string::npos)
            {
                until([](const std::string& text)
                      { return text.find("\n\n") != std::string::npos; });
                continue;
            }
            const auto fields = fieldsOf(_text.substr(0, end + 1));
            _text.erase(0, end + 2);
            if (fields.contains("id"))
                _lastId = fields.at("id");
            if (!fields.contains("data"))
                continue;
            found.push_back({_lastId, fields.at("event"), fields.at("data")});
            if (last(found.back()))
                return found;
        }
    }

    [[nodiscard]] const std::string& lastId() const { return _lastId; }

private:
    static std::map<std::string, std::string> fieldsOf(const std::string& block)
    {
        std::map<std::string, std::string> fields;
        for (std::size_t at = 0; at < block.size();)
        {
            const std::size_t end = block.find('\n', at);
            const std::string line = block.substr(at, end - at);
            at = end + 1;
            if (const auto colon = line.find(": "); colon != std::string::npos && colon > 0)
                fields[line.substr(0, colon)] = line.substr(colon + 2);
        }
        return fields;
    }

    [[nodiscard]] std::string tail() const
    {
        return _text.size() > 500 ? "..." + _text.substr(_text.size() - 500) : _text;
    }

    RawClient _client;
    std::string _text;
    std::string _lastId;
};

} // namespace agent::test
