#pragma once

#include "tests/support/Daemon.h"
#include "tests/support/Receiver.h"

#include <cppunit/TestAssert.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

// What tests of reports share.
namespace agent::test
{

/// Writes a file of outbox.d/; `more`: further lines.
inline void writeTarget(Daemon& daemon, const std::string& name, const std::string& url,
                        const std::string& more = "", const std::string& type = "webhook")
{
    const auto folder = daemon.folder() / "outbox.d";
    std::filesystem::create_directories(folder);
    daemon.set("outbox.dir", folder.string());
    std::ofstream(folder / (name + ".yaml"))
        << "name: " << name << "\ntype: " << type << "\nurl: " << url << "\n"
        << more;
}

inline rapidjson::Document eventOf(const Received& received)
{
    rapidjson::Document event;
    event.Parse(received.body);
    CPPUNIT_ASSERT_MESSAGE(received.body, event.IsObject());
    return event;
}

/// What a receiver confirmed of each run: the ids by number.
using Taken = std::map<std::string, std::map<int, std::string>>;

/// Returns that of `received`, and holds what a receiver may rely on: a report that comes again has the same id and body,
/// and none comes first before one with a lower number.
inline Taken takenBy(const std::vector<Received>& received)
{
    Taken taken;
    std::map<std::string, std::string> bodies;
    for (const auto& one : received)
    {
        const auto event = eventOf(one);
        const std::string id = event["id"].GetString();
        const std::string run = event["subject"].GetString();
        const int number = std::stoi(event["sequence"].GetString());
        CPPUNIT_ASSERT_EQUAL(id, one.headers.at("webhook-id"));
        auto& numbers = taken[run];
        if (const auto again = numbers.find(number); again != numbers.end())
        {
            CPPUNIT_ASSERT_EQUAL(again->second, id);
            CPPUNIT_ASSERT_EQUAL(bodies.at(id), one.body);
            continue;
        }
        CPPUNIT_ASSERT_MESSAGE(run + " " + std::to_string(number) + " came after " +
                                   std::to_string(numbers.empty() ? 0 : numbers.rbegin()->first),
                               numbers.empty() || numbers.rbegin()->first < number);
        numbers[number] = id;
        bodies[id] = one.body;
    }
    return taken;
}

/// Whether each run's reports are there from the first to its end.
inline bool complete(const Taken& taken, const std::vector<Received>& received)
{
    std::map<std::string, int> last;
    for (const auto& one : received)
    {
        const auto event = eventOf(one);
        if (event["type"] == "run.ended")
            last[event["subject"].GetString()] = std::stoi(event["sequence"].GetString());
    }
    for (const auto& [run, numbers] : taken)
        if (!last.contains(run) || static_cast<int>(numbers.size()) != last.at(run))
            return false;
    return true;
}

inline bool contains(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

/// Waits for the report of the run's end.
inline Received ended(const Receiver& receiver, const std::string& run)
{
    Received last;
    waitFor("the report of the run's end",
            [&]
            {
                for (const auto& one : receiver.taken())
                    if (contains(one.body, "\"run.ended\"") && contains(one.body, run))
                    {
                        last = one;
                        return true;
                    }
                return false;
            });
    return last;
}

/// Has the daemon read services and targets again.
inline void reload(const Daemon& daemon)
{
    const auto count = [&]
    {
        const std::string output = daemon.output();
        std::size_t found = 0;
        for (std::size_t at = output.find("services reloaded"); at != std::string::npos;
             at = output.find("services reloaded", at + 1))
            ++found;
        return found;
    };
    const std::size_t before = count();
    daemon.signal(SIGHUP);
    waitFor("the reload", [&] { return count() > before; });
}

} // namespace agent::test
