#pragma once

#include "tests/support/Daemon.h"

#include <set>
#include <string>
#include <vector>

namespace agent::test
{

/// Runs that were asked for from a daemon that may die at any moment, each under an Idempotency-Key of its own.
class AskedRuns
{
public:
    /// `name`: how their keys begin.
    AskedRuns(const Daemon& daemon, std::string name) : _daemon(daemon), _name(std::move(name)) {}

    /// Asks for a run. A daemon that dies meanwhile has it or not, and one without room refuses it: ask again by submitOpen().
    /// Errors: fails the test at any other refusal.
    void submit(const std::string& body);

    /// Asks again for each that got no answer, until it is taken.
    void submitOpen();

    /// How many have got no answer.
    [[nodiscard]] std::size_t open() const;

    /// Forgets the oldest but `most` and deletes them; one that the daemon can't delete now is deleted by the next call.
    void deleteBut(std::size_t most);

    /// The ones that are still to be deleted.
    [[nodiscard]] const std::set<std::string>& toDelete() const { return _toDelete; }

    /// Whether all are over. Errors: those of the requests.
    [[nodiscard]] bool over() const;

    /// In the order of submit(); empty: no answer yet.
    [[nodiscard]] std::vector<std::string> ids() const;

    /// A line for each, for messages.
    [[nodiscard]] std::string described() const;

    void clear() { _asked.clear(); }

private:
    struct Asked
    {
        std::string key;
        std::string body;
        std::string id; ///< empty: no answer yet
    };

    void ask(Asked& asked) const;

    const Daemon& _daemon;
    std::string _name;
    std::vector<Asked> _asked;
    std::set<std::string> _toDelete;
    int _count = 0;
};

} // namespace agent::test
