// Writes to the record of a stopped daemon what would take long to produce:
//   browser-record RECORD COUNT    that many ended runs of one stage; the first says "the oldest of all"
#include "agent/model/Id.h"
#include "agent/store/Database.h"
#include "agent/store/History.h"
#include "agent/store/RunStore.h"

#include <Poco/Exception.h>

#include <iostream>
#include <string>

using agent::Cause;
using agent::Database;
using agent::RunStore;
using agent::Stage;
using agent::Status;

namespace
{

constexpr agent::TimeMs apartMs = 60'000;

void writeRuns(Database& database, int count)
{
    RunStore store(database.writer());
    agent::History history(database.writer());
    const agent::TimeMs now = agent::nowMs();
    for (int i = 0; i < count; ++i)
    {
        const agent::TimeMs at = now - (count - i) * apartMs;
        agent::Run run{.id = agent::newId(),
                       .createdAt = at,
                       .updatedAt = at,
                       .startedAt = at,
                       .endedAt = at + 4'200,
                       .commitHash = "abcdef0123456789",
                       .commitMessage = i == 0 ? "the oldest of all" : "Change a thing",
                       .status = i % 7 == 0 ? Status::Failure : Status::Success,
                       .pipeline = R"({"stages":[{"type":"OTHER","plugin":"external"}]})"};
        store.insert(run);
        store.insert(Stage{.id = agent::newId(),
                           .runId = run.id,
                           .name = "OTHER",
                           .plugin = "external",
                           .status = run.status,
                           .createdAt = at,
                           .updatedAt = at,
                           .startedAt = at,
                           .endedAt = at + 4'200,
                           .cause = Cause::External});
        history.append({.at = at, .runId = run.id, .actor = "test", .to = "IDLE"});
    }
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 3)
    {
        std::cerr << "usage: browser-record RECORD COUNT\n";
        return 2;
    }
    try
    {
        Database database(argv[1]);
        agent::Transaction transaction(database.writer());
        writeRuns(database, std::stoi(argv[2]));
        transaction.commit();
        return 0;
    }
    catch (const Poco::Exception& error)
    {
        std::cerr << error.displayText() << '\n';
    }
    catch (const std::exception& error)
    {
        std::cerr << error.what() << '\n';
    }
    return 1;
}
