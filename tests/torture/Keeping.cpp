#include "tests/torture/Keeping.h"

#include <Poco/Exception.h>

#include <cppunit/Exception.h>
#include <cppunit/TestAssert.h>

#include <algorithm>
#include <fstream>

namespace agent::test
{

namespace fs = std::filesystem;

namespace
{

/// Prints one digest of all that is below folder $1: names, kinds, modes, targets of symlinks, contents.
constexpr const char* treeScript =
    R"sh(cd "$1" && { find . -printf '%P %y %m %l\n' | LC_ALL=C sort
find . -type f | LC_ALL=C sort | xargs sha256sum; } | sha256sum | cut -c1-64
)sh";

/// The stage. $1: the folder of these scripts; $2: how many small files; $3: bytes in each of the large ones.
constexpr const char* buildScript = R"sh(set -e
tells=$1/tells/$RUN_ID
tool=$HOME/.config/tool
for path in deps $tool; do
    [ ! -e $path ] || echo "restored $(basename $path) $(sh $1/tree.sh $path)" >>$tells
done
echo looked >>$tells
if [ "$(cat lock)" != "$(cat deps/lock 2>/dev/null)" ]; then
    rm -rf deps $tool
    mkdir -p deps/bin $tool
    seq $2 | split -a 4 -l 1 - deps/
    head -c $3 /dev/urandom >deps/large
    head -c 20000 /dev/urandom >$tool/state
    echo 'exit 0' >deps/bin/run
    chmod 755 deps/bin/run
    ln -s ../large deps/bin/link
    cp lock deps/lock
fi
echo "made deps $(sh $1/tree.sh deps)" >>$tells
echo "made tool $(sh $1/tree.sh $tool)" >>$tells
rm -rf dist
mkdir -p dist/sub
seq $2 | split -a 4 -l 1 - dist/same
echo $RUN_ID >dist/own
head -c $(($3 * 3)) /dev/urandom >dist/sub/large
cp deps/large dist/shared
find dist -type f | xargs sha256sum | sed 's/^/file /' >>$tells
echo done >>$tells
)sh";

std::string filesIn(const fs::path& folder)
{
    std::string found;
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(folder, ignored))
        if (!entry.is_directory())
            found += entry.path().string() + "\n";
    return found;
}

} // namespace

Keeping::Keeping(Daemon& daemon, bool small) : _daemon(daemon), _tells(daemon.folder() / "tells")
{
    fs::create_directories(_tells);
    std::ofstream(daemon.folder() / "tree.sh") << treeScript;
    std::ofstream(daemon.folder() / "build.sh") << buildScript;
    const std::string folder = daemon.folder().string();
    daemon.writeService("app", "name: app\nenv: {LOCK: '0'}\nstages:\n"
                               "  - {type: PREPARE, plugin: shell, with: {command: "
                               "'echo $LOCK >lock'}}\n"
                               "  - type: BUILD\n    plugin: shell\n    with: {command: 'sh " +
                                   folder + "/build.sh " + folder +
                                   (small ? " 5 20000" : " 500 400000") +
                                   "'}\n"
                                   "    cache: [{key: 'deps-${sha256:lock}', restore: [deps-], "
                                   "paths: [deps, ~/.config/tool]}]\n"
                                   "    artifacts: {paths: [dist], required: true}\n");
}

void Keeping::submit(int lock)
{
    Asked& asked = _asked.emplace_back();
    asked.key = "keeping-" + std::to_string(_count++);
    asked.body = R"({"service":"app","env":{"LOCK":")" + std::to_string(lock) + "\"}}";
    ask(asked);
}

void Keeping::ask(Asked& asked) const
{
    try
    {
        const Answer answer =
            _daemon.request("POST", "/api/runs", asked.body, {{"Idempotency-Key", asked.key}});
        if (answer.status == 201 || answer.status == 200)
            asked.id = answer.json()["id"].GetString();
        else
            CPPUNIT_ASSERT_MESSAGE(answer.body, answer.status == 503 || answer.status == 429);
    }
    catch (const Poco::Exception&)
    {
        // It died before it answered.
    }
}

void Keeping::submitOpen()
{
    for (Asked& asked : _asked)
        if (asked.id.empty())
            waitFor("a run to be taken",
                    [&]
                    {
                        ask(asked);
                        return !asked.id.empty();
                    });
}

std::size_t Keeping::open() const
{
    return static_cast<std::size_t>(std::count_if(_asked.begin(), _asked.end(),
                                                  [](const Asked& one) { return one.id.empty(); }));
}

void Keeping::deleteBut(std::size_t most)
{
    while (_asked.size() > most && !_asked.front().id.empty())
    {
        _toDelete.insert(_asked.front().id);
        _asked.erase(_asked.begin());
    }
    for (auto run = _toDelete.begin(); run != _toDelete.end();)
        try
        {
            const int status = _daemon.request("DELETE", "/api/runs/" + *run).status;
            run = status == 200 || status == 404 ? _toDelete.erase(run) : std::next(run);
        }
        catch (const Poco::Exception&)
        {
            return; // it died of it, which is what some want to see
        }
}

bool Keeping::over() const
{
    return std::all_of(_asked.begin(), _asked.end(),
                       [this](const Asked& asked)
                       {
                           const std::string status =
                               asked.id.empty() ? "" : _daemon.statusOf(asked.id);
                           return status == "SUCCESS" || status == "FAILURE";
                       });
}

bool Keeping::settled() const
{
    const fs::path state = _daemon.state();
    for (const char* folder : {"caches/pending", "caches/new", "artifacts/trash", "trash"})
        if (std::error_code error;
            fs::exists(state / folder, error) && (!fs::is_empty(state / folder, error) || error))
            return false;
    const auto sets = setFolders();
    return std::all_of(sets.begin(), sets.end(),
                       [this](const std::string& set)
                       {
                           const auto slash = set.find('/');
                           const auto dot = set.rfind('.');
                           const auto answer =
                               _daemon.get("/api/stages/" + set.substr(slash + 1, dot - slash - 1) +
                                           "/artifacts?attempt=" + set.substr(dot + 1));
                           return answer.status == 200;
                       });
}

std::string Keeping::whatGoesOn() const
{
    const fs::path state = _daemon.state();
    std::string all;
    for (const Asked& asked : _asked)
        all += asked.key + " " + asked.id + " " +
               (asked.id.empty() ? "" : _daemon.statusOf(asked.id)) + "\n";
    for (const auto& run : _toDelete)
        all += "to delete: " + run + "\n";
    for (const char* folder : {"caches/pending", "caches/new", "artifacts/trash", "trash"})
        all += namesIn(state / folder);
    for (const auto& set : setFolders())
        all += set + "\n";
    const std::string said = _daemon.output();
    constexpr std::size_t last = 1500;
    return all + said.substr(said.size() - std::min(said.size(), last));
}

void Keeping::waitUntil(const std::string& what, const std::function<bool()>& condition) const
try
{
    waitFor(what, condition, 90);
}
catch (const CppUnit::Exception& error)
{
    CPPUNIT_FAIL(std::string(error.what()) + ": " + whatGoesOn());
}

void Keeping::waitUntilSettled()
{
    waitUntil("the end of all that goes on",
              [this]
              {
                  if (!_daemon.alive())
                      _daemon.start();
                  try
                  {
                      if (open() > 0)
                          submitOpen();
                      if (!_toDelete.empty())
                          deleteBut(_asked.size());
                      return _toDelete.empty() && over() && settled();
                  }
                  catch (const Poco::Exception&)
                  {
                      return false; // it died meanwhile
                  }
              });
}

void Keeping::clear()
{
    deleteBut(0);
    waitUntilSettled();
    const fs::path state = _daemon.state();
    const auto left = [&]
    {
        std::string found;
        for (const char* folder : {"runs", "artifacts/objects", "artifacts/sets", "trash"})
            found += filesIn(state / folder);
        return found + namesIn(state / "artifacts/sets");
    };
    waitFor("nothing to be left", [&] { return left().empty(); });
}

std::vector<std::string> Keeping::runs() const
{
    std::vector<std::string> ids;
    for (const Asked& asked : _asked)
        ids.push_back(asked.id);
    return ids;
}

std::string Keeping::namesIn(const fs::path& folder)
{
    std::string found;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored))
        found += entry.path().string() + "\n";
    return found;
}

std::set<std::string> Keeping::setFolders() const
{
    std::set<std::string> found;
    std::error_code ignored;
    for (const auto& run : fs::directory_iterator(_daemon.state() / "artifacts/sets", ignored))
        for (const auto& set : fs::directory_iterator(run.path(), ignored))
            found.insert(run.path().filename().string() + "/" + set.path().filename().string());
    return found;
}

} // namespace agent::test
