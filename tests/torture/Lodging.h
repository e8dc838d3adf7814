#pragma once

#include "tests/support/Daemon.h"
#include "tests/support/GitOrigin.h"
#include "tests/torture/AskedRuns.h"
#include "tests/torture/Record.h"

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace agent::test
{

/// Runs of services that keep their workspaces, on a daemon that is harmed meanwhile, and what must be true then
/// (docs/workspaces.md). Each stage tells, in a file outside the agent's reach, where it is, what it finds there and whether another
/// one is there too; then it makes a mess of it. A tree that is not the commit's, what a run of another service or level
/// left, and with `clean` what any run left, fails the test, and so does a folder that no run on record has.
class Lodging
{
public:
    /// Writes the services and their repository.
    explicit Lodging(Daemon& daemon);

    /// Asks for a run: of one of the services 0 to 2, of one of its commits 0 to 4, of which the last two are of another branch.
    void submit(int service, int commit);

    void deleteBut(std::size_t most) { _runs.deleteBut(most); }

    /// Whether all that was taken is over, or a run has to be asked for again, and nothing is being removed. Errors: those of the requests.
    [[nodiscard]] bool settled() const;

    /// Waits for that, and starts the daemon where it died.
    void waitUntilSettled();

    /// Restarts the daemon by kill -9, and verifies all when it has settled. It lives again afterwards.
    void verify();

    /// Deletes all runs and waits until no workspace is left.
    void clear();

    /// How many looks at a kept workspace were held against the commit, and how many of them found files of an earlier run.
    [[nodiscard]] int looks() const { return _looks; }
    [[nodiscard]] int found() const { return _found; }

private:
    struct Commit
    {
        std::string id;
        std::string branch;
        std::string tree; ///< its digest, as tree.sh prints it
    };

    /// What a stage told.
    struct Deeds
    {
        std::string service;
        std::string level;
        std::string commit;
        std::string at;
        std::string tree;
        std::set<std::string> left; ///< "SERVICE LEVEL" of each file of an earlier run
        bool shared = false;
        bool done = false;
    };

    void makeCommits();
    [[nodiscard]] Deeds deedsOf(const std::string& run) const;
    void verifyRun(const Record& record, const std::string& run);
    void verifyFolders(const Record& record) const;
    [[nodiscard]] std::string folders() const;

    Daemon& _daemon;
    AskedRuns _runs;
    GitOrigin _origin;
    std::vector<Commit> _commits;
    std::set<std::string> _judged;
    int _looks = 0;
    int _found = 0;
};

} // namespace agent::test
