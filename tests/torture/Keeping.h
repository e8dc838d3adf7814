#pragma once

#include "tests/support/Daemon.h"
#include "tests/torture/Record.h"

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace agent::test
{

/// Runs of a service that keep files and a cache, on a daemon that is harmed meanwhile, and what must be true then. The stages
/// tell what was restored for them and what they made in files outside the agent's reach; what the agent keeps is
/// compared with that, byte by byte: a false SUCCESS, a torn artifact or cache, and anything left over fail the test.
class Keeping
{
public:
    /// Writes the service. `small`: it keeps some kilobytes, for runs of which one wants many.
    explicit Keeping(Daemon& daemon, bool small = false);

    /// Asks for a run whose cache has a key of its own for each `lock`. A daemon that dies meanwhile has it or not, and one
    /// without room refuses it: ask again by submitOpen().
    void submit(int lock);
    void submitOpen();

    /// How many have got no answer.
    [[nodiscard]] std::size_t open() const;

    /// Deletes the oldest run but `most`; one that the daemon can't delete now is deleted later.
    void deleteBut(std::size_t most);

    /// Whether all are over. Errors: those of the requests.
    [[nodiscard]] bool over() const;

    /// Whether the daemon has done all that is to be done for what is kept.
    [[nodiscard]] bool settled() const;

    /// Waits for this, 90 s at most. Errors: fails the test with all that goes on.
    void waitUntil(const std::string& what, const std::function<bool()>& condition) const;

    /// Waits until both are true, and starts the daemon where it died.
    void waitUntilSettled();

    /// Restarts the daemon by kill -9, and verifies all when it has settled. It lives again afterwards.
    void verify();

    /// Deletes all runs and waits until the state folder holds nothing of them.
    void clear();

    [[nodiscard]] std::vector<std::string> runs() const;

private:
    struct Asked
    {
        std::string key;
        std::string body;
        std::string id; ///< empty: no answer yet
    };

    /// What a path held, as a digest of names, modes and contents.
    using Trees = std::map<std::string, std::string>;

    /// What a stage told.
    struct Deeds
    {
        Trees restored;
        Trees made;
        std::map<std::string, std::string> files; ///< to be kept, with their SHA-256
        bool looked = false; ///< it has told all that was restored; else it was killed while it did
        bool done = false;
    };

    static std::string namesIn(const std::filesystem::path& folder);

    /// The sets of artifacts that have a folder, as Record::artifactSets() has them.
    [[nodiscard]] std::set<std::string> setFolders() const;

    void ask(Asked& asked) const;
    [[nodiscard]] std::string whatGoesOn() const;
    [[nodiscard]] Deeds deedsOf(const std::string& run) const;
    [[nodiscard]] std::filesystem::path attemptOf(const std::string& run,
                                                  const StageRow& stage) const;
    void noteMade(const Record& record, const std::string& run);
    void verifyRun(const Record& record, const std::string& run) const;
    void verifyFiles(const Record& record, const std::string& run, const StageRow& stage) const;
    void verifyStore(const Record& record) const;
    void verifyCaches() const;
    void verifyNothingLeft(const Record& record) const;

    Daemon& _daemon;
    std::filesystem::path _tells; ///< a file a run
    std::vector<Asked> _asked;
    std::set<std::string> _toDelete;
    std::set<Trees> _made; ///< by runs that are over in SUCCESS, so what a cache may hold
    int _count = 0;
};

} // namespace agent::test
